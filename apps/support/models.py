"""What customers say after a delivery lives on their shard, beside the order it is about."""

from collections.abc import Iterable
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from typing_extensions import override

from apps.support.domain import FAULTS, KINDS, REASONS_OF, RULES, STANDING, TITLES, Fault, Kind, Status, Waits
from sharding import ShardAutoField, ShardedModel, ShardForeignKey, ShardKey, ShardRef


def _one_of(field: str, values: Iterable[str], name: str) -> models.CheckConstraint:
    return models.CheckConstraint(condition=Q(**{f"{field}__in": [str(value) for value in values]}), name=name)


def _sorted(values: Iterable[str]) -> list[str]:
    return sorted(str(value) for value in values)


class CaseFile(ShardedModel):
    """One row a customer, locked by whoever writes a rating or report of theirs: the rules count what there is."""

    id = models.BigIntegerField(primary_key=True)

    sharding: ClassVar = ShardKey("customer", field="id")
    decides_money_or_stock = True

    @override
    def __str__(self) -> str:
        return f"case file of customer {self.pk}"


class Rating(ShardedModel):
    """What the customer thought of one delivery. ``version`` counts what the shopper's shard was told of it."""

    id = ShardAutoField(primary_key=True)
    customer_id = models.BigIntegerField()
    order_id = ShardRef("orders.Order")
    shopper_id = models.BigIntegerField(null=True)
    stars = models.SmallIntegerField()
    tags = models.JSONField(default=list)
    words = models.TextField(blank=True)
    faults = models.JSONField(default=list)  # of its tags; those of reports are theirs
    counts = models.BooleanField()
    version = models.IntegerField(default=1)
    delivered_at = models.DateTimeField()
    rated_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    sharding: ClassVar = ShardKey("customer", field="customer_id")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "order_id"], name="support_rating_once"),
            models.CheckConstraint(condition=Q(stars__range=(1, 5)), name="support_rating_stars"),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.stars} stars for order {self.order_id}"


class OrderIssue(ShardedModel):
    """One report about one line of a delivered order, or about the order. Words are the customer's own."""

    id = ShardAutoField(primary_key=True)
    customer_id = models.BigIntegerField()
    order_id = ShardRef("orders.Order")
    line_id = ShardRef("orders.OrderLine", null=True)
    line_name = models.CharField(max_length=200, blank=True)
    store_id = models.BigIntegerField()
    shopper_id = models.BigIntegerField(null=True)
    kind = models.CharField(max_length=20, choices=[(str(kind), title) for kind, title in KINDS.items()])
    quantity = models.DecimalField(max_digits=12, decimal_places=3, null=True)
    words = models.TextField(blank=True)
    key = models.CharField(max_length=80)
    fingerprint = models.CharField(max_length=64)
    status = models.CharField(max_length=20, choices=[(str(status), title) for status, title in TITLES.items()])
    sequence = models.PositiveIntegerField()
    fault = models.CharField(max_length=10, choices=[(str(fault), title) for fault, title in FAULTS.items()])
    waits_for = models.CharField(max_length=20, blank=True)
    reason = models.CharField(max_length=20, blank=True)
    refund_quantity = models.DecimalField(max_digits=12, decimal_places=3, null=True)
    refund_cents = models.BigIntegerField(null=True)
    currency = models.CharField(max_length=3)
    opened_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)

    sharding: ClassVar = ShardKey("customer", field="customer_id")
    decides_money_or_stock = True

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "key"], name="support_issue_once_per_key"),
            models.UniqueConstraint(
                fields=["customer_id", "order_id", "kind"],
                condition=Q(line_id__isnull=True, status__in=_sorted(STANDING)),
                name="support_issue_of_order_once",
            ),
            _one_of("kind", Kind, "support_issue_kind"),
            _one_of("status", Status, "support_issue_status"),
            _one_of("fault", Fault, "support_issue_fault"),
            _one_of("waits_for", ["", *Waits], "support_issue_waits_for"),
            models.CheckConstraint(
                condition=Q(line_id__isnull=True, quantity__isnull=True)
                | Q(line_id__isnull=False, quantity__isnull=False, quantity__gt=0),
                name="support_issue_quantity_of_line",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["opened", "withdrawn"], reason="", refund_cents__isnull=True)
                | Q(status="declined", reason__in=_sorted(REASONS_OF[Status.DECLINED]), refund_cents__isnull=True)
                | Q(
                    status="resolved_refund",
                    reason__in=_sorted(REASONS_OF[Status.RESOLVED_REFUND]),
                    refund_cents__isnull=False,
                    refund_cents__gt=0,
                ),
                name="support_issue_reason_fits_status",
            ),
            models.CheckConstraint(
                condition=Q(refund_quantity__isnull=True)
                | Q(refund_quantity__gt=0, refund_quantity__lte=F("quantity")),
                name="support_issue_refunds_what_was_reported",
            ),
            models.CheckConstraint(
                condition=Q(status="opened", decided_at__isnull=True)
                | ~Q(status="opened") & Q(decided_at__isnull=False, waits_for=""),
                name="support_issue_open_or_decided",
            ),
        ]
        indexes = [
            models.Index(fields=["customer_id", "opened_at"], name="support_issue_of_customer"),
            models.Index(fields=["order_id"], name="support_issue_of_order"),
            models.Index(fields=["opened_at", "id"], condition=Q(status="opened"), name="support_issue_queue"),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.kind} of order {self.order_id}: {self.status}"


class IssueEvent(ShardedModel):
    """A step in the life of a report, written with it."""

    id = ShardAutoField(primary_key=True)
    customer_id = models.BigIntegerField()
    issue = ShardForeignKey(OrderIssue, on_delete=models.CASCADE, related_name="events")
    sequence = models.PositiveIntegerField()
    from_status = models.CharField(max_length=20, blank=True)
    to_status = models.CharField(max_length=20)
    actor = models.CharField(max_length=40)
    reason = models.CharField(max_length=20, blank=True)
    note = models.TextField(blank=True)
    at = models.DateTimeField()

    sharding: ClassVar = ShardKey("customer", field="customer_id")
    decides_money_or_stock = True

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "issue", "sequence"], name="support_event_sequence_once"),
        ]

    @override
    def __str__(self) -> str:
        return f"#{self.sequence} {self.to_status}"


class IssuePhoto(ShardedModel):
    """``reference`` is its file in the default storage, ``position`` counts from 1."""

    id = ShardAutoField(primary_key=True)
    customer_id = models.BigIntegerField()
    issue = ShardForeignKey(OrderIssue, on_delete=models.CASCADE, related_name="photos")
    position = models.PositiveSmallIntegerField()
    reference = models.CharField(max_length=100)

    sharding: ClassVar = ShardKey("customer", field="customer_id")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "issue", "position"], name="support_photo_position_once"),
            models.CheckConstraint(condition=Q(position__range=(1, RULES.most_photos)), name="support_photo_position"),
        ]

    @override
    def __str__(self) -> str:
        return f"photo {self.position} of issue {self.issue_id}"
