"""Questions about ratings and reports. An order's or a report's id names its shard: one database is asked."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.core.files.storage import default_storage

from apps.common.api import ids
from apps.common.money import Money
from apps.orders.types import Order
from apps.support import domain, models, types
from apps.support.domain import Kind, Reason, Status
from apps.support.errors import IssueNotFound, PhotoNotFound
from apps.support.types import (
    AfterDelivery,
    Issue,
    IssueChange,
    IssuePage,
    Queue,
    ReportableLine,
    StoredPhoto,
    Vocabulary,
)

MAX_PAGE = 100
_CONTENT_TYPES = {"jpg": "image/jpeg", "png": "image/png"}


def _worded(titles: Mapping[Any, str]) -> dict[str, str]:
    return {str(code): words for code, words in titles.items()}


VOCABULARY: Final = Vocabulary(
    kinds=_worded(domain.KINDS),
    tags=_worded(domain.TAGS),
    upheld=_worded(domain.UPHELD),
    declined=_worded(domain.DECLINED),
    faults=_worded(domain.FAULTS),
    waits=_worded(domain.WAITS),
    reasons=_worded(domain.REASONS),
    most_photos=domain.RULES.most_photos,
    longest_words=domain.RULES.longest_words,
)


def rating(*, order_id: int, customer_id: int) -> types.Rating | None:
    """The customer's own rating of the order. 1 query."""
    row = models.Rating.objects.filter(customer_id=customer_id, order_id=order_id).first()
    return rating_of(row) if row else None


def issue(*, issue_id: int, customer_id: int) -> Issue:
    """The customer's own report; raises ``IssueNotFound`` for anybody else's. 3 queries."""
    return _one(models.OrderIssue.objects.filter(pk=issue_id, customer_id=customer_id).first())


def issue_for_staff(*, issue_id: int) -> Issue:
    """Any report; whoever asks has been checked. 3 queries."""
    return _one(models.OrderIssue.objects.filter(pk=issue_id).first())


def issues_of_order(*, order_id: int, customer_id: int) -> tuple[Issue, ...]:
    """What was reported about an order, oldest first. 1 query, 3 where there is something."""
    rows = models.OrderIssue.objects.filter(customer_id=customer_id, order_id=order_id)
    return _whole(list(rows.order_by("pk")))


def issues(*, customer_id: int, after: str | None = None, limit: int = 20) -> IssuePage:
    """Everything the customer reported, newest first. 1 query, 3 where there is something.

    Raises ``NotFound`` for a cursor that is none.
    """
    limit = max(1, min(limit, MAX_PAGE))
    found = models.OrderIssue.objects.filter(customer_id=customer_id)
    if after is not None:
        found = found.filter(pk__lt=ids.parse(after))
    rows = list(found.order_by("-pk")[: limit + 1])
    return IssuePage(issues=_whole(rows[:limit]), next_cursor=str(rows[limit - 1].pk) if len(rows) > limit else None)


def queue(*, limit: int = 50) -> Queue:
    """Open reports of all customers, the longest waiting first. 1 query for each customer shard."""
    found = models.OrderIssue.objects.scatter(partial="return").filter(status=Status.OPENED)
    rows = found.order_by("opened_at", "id")[:limit]
    listed = list(rows)
    return Queue(issues=tuple(_issue(row, (), 0) for row in listed), missing_shards=tuple(rows.missing_shards))


def standing_issue(*, order_id: int, customer_id: int) -> int | None:
    """Id of a report about the order that is open or was upheld; None where nothing speaks against it. 1 query."""
    rows = models.OrderIssue.objects.filter(
        customer_id=customer_id, order_id=order_id, status__in=list(domain.STANDING)
    )
    found: int | None = rows.order_by("pk").values_list("pk", flat=True).first()
    return found


def reports_lately(*, customer_id: int, now: datetime) -> int:
    """How many reports of the customer the rules count. 1 query."""
    mine = models.OrderIssue.objects.filter(customer_id=customer_id, opened_at__gt=now - domain.RULES.reports_within)
    return mine.exclude(status=Status.WITHDRAWN).count()


def photo(*, issue_id: int, position: int, customer_id: int | None = None) -> StoredPhoto:
    """One picture of a report, its own customer's unless none is named; raises ``PhotoNotFound``. 1 query."""
    rows = models.IssuePhoto.objects.filter(issue_id=issue_id, position=position)
    row = (rows if customer_id is None else rows.filter(customer_id=customer_id)).first()
    if row is None or not default_storage.exists(row.reference):
        raise PhotoNotFound("There is no such photo.")
    with default_storage.open(row.reference) as file:
        return StoredPhoto(file.read(), _CONTENT_TYPES[row.reference.rpartition(".")[2]])


def after_delivery(*, order: Order) -> AfterDelivery:
    """What its customer may say of the order, and has said. 2 queries, 4 with reports; none before the delivery."""
    if order.delivered_at is None:
        return AfterDelivery(rating=None, issues=(), rate_until=None, report_until=None, lines=())
    said = issues_of_order(order_id=order.id, customer_id=order.customer_id)
    return AfterDelivery(
        rating=rating(order_id=order.id, customer_id=order.customer_id),
        issues=said,
        rate_until=order.delivered_at + domain.RULES.rate_within,
        report_until=order.delivered_at + domain.RULES.report_within,
        lines=tuple(
            ReportableLine(
                id=line.id,
                name=line.delivered.name,
                found=line.found_quantity,
                left=max(line.found_quantity - _reported(said, line.id), Decimal(0)),
                cost_unit=line.delivered.cost_unit,
                sold_by=line.delivered.sold_by,
            )
            for line in order.lines
            if line.status in domain.CHARGED and line.found_quantity
        ),
    )


def _reported(said: Iterable[Issue], line_id: int) -> Decimal:
    standing = (one for one in said if one.line_id == line_id and one.status in domain.STANDING)
    return sum(((one.refund_quantity or one.quantity or Decimal(0)) for one in standing), Decimal(0))


def rating_of(row: models.Rating) -> types.Rating:
    return types.Rating(
        order_id=row.order_id,
        shopper_id=row.shopper_id,
        stars=row.stars,
        tags=tuple(row.tags),
        words=row.words,
        counts=row.counts,
        rated_at=row.rated_at,
        changed_at=row.changed_at,
    )


def _one(row: models.OrderIssue | None) -> Issue:
    if row is None:
        raise IssueNotFound("There is no such report.")
    return _whole([row])[0]


def _whole(rows: Collection[models.OrderIssue]) -> tuple[Issue, ...]:
    """With photos and history, in the order given; all of one customer. 2 queries, none for nothing."""
    if not rows:
        return ()
    mine = {"customer_id": next(iter(rows)).customer_id, "issue_id__in": [row.pk for row in rows]}
    steps: dict[int, list[models.IssueEvent]] = {row.pk: [] for row in rows}
    for step in models.IssueEvent.objects.filter(**mine).order_by("sequence"):
        steps[step.issue_id].append(step)
    pictures = list(models.IssuePhoto.objects.filter(**mine).values_list("issue_id", flat=True))
    return tuple(_issue(row, steps[row.pk], pictures.count(row.pk)) for row in rows)


def _issue(row: models.OrderIssue, steps: Iterable[models.IssueEvent], pictures: int) -> Issue:
    return Issue(
        id=row.pk,
        order_id=row.order_id,
        customer_id=row.customer_id,
        store_id=row.store_id,
        shopper_id=row.shopper_id,
        line_id=row.line_id,
        line_name=row.line_name,
        kind=row.kind,
        kind_title=domain.KINDS[Kind(row.kind)],
        quantity=row.quantity,
        words=row.words,
        status=row.status,
        status_title=domain.TITLES[Status(row.status)],
        fault=row.fault,
        waits_for=row.waits_for,
        reason=row.reason,
        reason_title=domain.REASONS[Reason(row.reason)] if row.reason else "",
        refund_quantity=row.refund_quantity,
        refunded=None if row.refund_cents is None else Money(row.refund_cents, row.currency),
        opened_at=row.opened_at,
        decided_at=row.decided_at,
        photos=pictures,
        history=tuple(
            IssueChange(
                from_status=step.from_status,
                to_status=step.to_status,
                actor=step.actor,
                at=step.at,
                reason=step.reason,
                note=step.note,
            )
            for step in steps
        ),
    )
