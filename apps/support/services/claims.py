"""Nobody reports more of a line than they were charged for."""

from decimal import Decimal

from apps.support import domain, models
from apps.support.errors import AlreadyReported


def refuse_twice(row: models.OrderIssue, *, found: Decimal | None) -> None:
    """Raises ``AlreadyReported`` where standing reports leave less than ``row`` is about. Under the customer's lock.

    ``found`` is how much of its line was charged. 1 query.
    """
    others = models.OrderIssue.objects.filter(
        customer_id=row.customer_id, order_id=row.order_id, status__in=list(domain.STANDING)
    ).exclude(pk=row.pk)
    if row.line_id is None:
        if others.filter(line_id__isnull=True, kind=row.kind).exists():
            raise AlreadyReported("You have reported this about the order already.")
        return
    of_line = others.filter(line_id=row.line_id).values_list("quantity", "refund_quantity")
    left = (found or Decimal(0)) - sum((given or asked or Decimal(0) for asked, given in of_line), Decimal(0))
    if (row.quantity or Decimal(0)) > left:
        what = f"only {left.normalize():f} of it is left to report" if left > 0 else "all of it"
        raise AlreadyReported(f"{row.line_name} was reported already: {what}.")
