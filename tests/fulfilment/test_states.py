"""Store orders and their lines go where their tables say, and nowhere else."""

from decimal import Decimal
from itertools import product

import pytest

from apps.fulfilment import domain, models, services
from apps.fulfilment.domain import LineStatus, Status
from apps.fulfilment.services import stages
from tests.fulfilment.factories import NOW, make_assigned_store_order

pytestmark = pytest.mark.django_db(databases="__all__")

SHOPPER = 31


def test_store_orders():
    rows = models.StoreOrder.objects.filter(pk=make_assigned_store_order(shopper_id=SHOPPER))
    for before, after in product(Status, Status):
        rows.update(status=before, shopper_id=None if before == Status.WAITING else SHOPPER)
        is_step = after in domain.TRANSITIONS[before]
        whose = {"shopper_id": None if after == Status.WAITING else SHOPPER}
        assert stages.move(rows, after, **whose) == is_step, (before, after)
        assert rows.get().status == (after if is_step else before)


def test_lines_become_what_their_table_says():
    order_id = make_assigned_store_order(shopper_id=SHOPPER)
    known = {"store_order_id": order_id, "shopper_id": SHOPPER}
    services.start_picking(**known, now=NOW)
    line = models.PickLine.objects.filter(store_order_id=order_id, sold_by="count").get()
    says = {
        LineStatus.FOUND: lambda: services.mark_found(**known, line_id=line.line_id, quantity=Decimal(1), now=NOW),
        LineStatus.TO_REFUND: lambda: services.mark_refund(**known, line_id=line.line_id, reason="other", now=NOW),
    }
    for before, after in product(set(LineStatus) - {LineStatus.REPLACED}, says):
        found = 1 if before == LineStatus.FOUND else 0
        reason = "other" if before == LineStatus.TO_REFUND else ""
        models.PickLine.objects.filter(pk=line.pk).update(status=before, found_quantity=found, refund_reason=reason)
        assert says[after]() == (after in domain.LINE_TRANSITIONS[before]), (before, after)
    reached = {after for following in domain.LINE_TRANSITIONS.values() for after in following}
    elsewhere = {LineStatus.NOT_PICKED, LineStatus.REPLACED}  # test_replacing.py, tests/orders/test_editing.py
    assert reached - set(says) == elsewhere
