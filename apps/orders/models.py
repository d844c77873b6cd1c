"""Orders live on their customer's shard, lines, money and history beside them."""

import json
from dataclasses import asdict
from enum import StrEnum
from typing import Any, ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from typing_extensions import override

from apps.common import crypto
from apps.common.geo import Point
from apps.orders.domain import (
    TERMINAL,
    LineStatus,
    OverageStatus,
    Phase,
    RefundReason,
    RefundStatus,
    Status,
    TipStatus,
)
from apps.orders.replacements import MOST_PERCENT
from apps.orders.types import DropOff, LineReason, ReplacementStatus
from sharding import ShardAutoField, ShardedModel, ShardForeignKey, ShardKey


def _one_of(field: str, values: type[StrEnum], name: str) -> models.CheckConstraint:
    return models.CheckConstraint(condition=Q(**{f"{field}__in": [str(value) for value in values]}), name=name)


class Order(ShardedModel):
    """What a customer asked one store for. ``sequence`` is that of the last event."""

    id = ShardAutoField(primary_key=True)
    customer_id = models.BigIntegerField()
    store_id = models.BigIntegerField()
    status = models.CharField(max_length=30)
    sequence = models.PositiveIntegerField()
    idempotency_key = models.CharField(max_length=80, blank=True)
    fingerprint = models.CharField(max_length=64)
    window_id = models.BigIntegerField()
    window_starts_at = models.DateTimeField()
    window_ends_at = models.DateTimeField()
    window_minutes = models.PositiveIntegerField()
    window_version = models.IntegerField(default=1, db_default=1)  # the order's how-manieth window this is
    edits = models.IntegerField(default=0, db_default=0)  # how often its lines were changed
    data_key = models.BinaryField(null=True)  # wrapped; thrown away, nobody can read the two columns below
    address_encrypted = models.BinaryField()
    pin_encrypted = models.BinaryField()
    pin_failures = models.PositiveSmallIntegerField(default=0)
    card_id = models.BigIntegerField()
    tip_cents = models.BigIntegerField()
    minimum_age = models.SmallIntegerField(default=0, db_default=0)  # of who takes it, in years
    surge_percent = models.DecimalField(max_digits=5, decimal_places=2, default=0, db_default=0)
    currency = models.CharField(max_length=3)
    fees = models.JSONField()  # as they were when the order was placed, so that the final price follows the estimate's
    authorise_cents = models.BigIntegerField()
    held_cents = models.BigIntegerField(null=True)  # by all holds together, as the check-out found them
    overage = models.CharField(max_length=12, blank=True, db_default="")  # an OverageStatus; empty: it all was held
    overage_cents = models.BigIntegerField(default=0, db_default=0)  # of the final total, what was not held
    captured_cents = models.BigIntegerField(null=True)  # with the tips that were raised after the delivery
    tipped_cents = models.BigIntegerField(default=0, db_default=0)  # those alone
    rejected_code = models.CharField(max_length=60, blank=True)
    placed_at = models.DateTimeField()
    pay_by = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)  # when the sweeper shall look after it; null: nothing is owed

    sharding: ClassVar = ShardKey("customer", field="customer_id")
    decides_money_or_stock = True

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["customer_id", "idempotency_key"],
                condition=~Q(idempotency_key=""),
                name="orders_order_once_per_key",
            ),
            _one_of("status", Status, "orders_order_status"),
            models.CheckConstraint(condition=Q(tip_cents__gte=0), name="orders_order_tip_not_negative"),
            models.CheckConstraint(
                condition=Q(surge_percent__gte=0, surge_percent__lte=30), name="orders_order_surge_is_capped"
            ),
            models.CheckConstraint(
                condition=Q(captured_cents__isnull=True)
                | Q(
                    captured_cents__gte=0,
                    captured_cents__lte=Coalesce(F("held_cents"), F("authorise_cents")) + F("tipped_cents"),
                ),
                name="orders_order_captured_within_held",
            ),
            models.CheckConstraint(
                condition=Q(overage="", overage_cents=0)
                | Q(overage__in=[str(status) for status in OverageStatus], overage_cents__gt=0),
                name="orders_order_overage",
            ),
            models.CheckConstraint(
                condition=Q(status="rejected") & ~Q(rejected_code="") | ~Q(status="rejected") & Q(rejected_code=""),
                name="orders_order_rejected_says_why",
            ),
        ]
        indexes = [
            models.Index(fields=["customer_id", "id"], name="orders_order_of_customer"),
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="orders_order_due"),
            models.Index(
                fields=["window_ends_at"],
                condition=~Q(status__in=[str(status) for status in sorted(TERMINAL)]),
                name="orders_order_under_way",
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"order {self.pk} ({self.status})"

    @property
    def drop_off(self) -> DropOff | None:
        """Where it goes; None once the key was thrown away."""
        if self.data_key is None:
            return None
        fields = json.loads(self._opened(self.address_encrypted, self.data_key))
        return DropOff(**{**fields, "point": Point(**fields["point"])})

    @property
    def pin(self) -> str:
        """The four digits to say at the door; empty once the key was thrown away."""
        if self.data_key is None:
            return ""
        return self._opened(self.pin_encrypted, self.data_key)

    @staticmethod
    def _opened(data: bytes | memoryview, wrapped_key: bytes | memoryview) -> str:
        return crypto.decrypt(bytes(data), key=crypto.data_key(bytes(wrapped_key)))


def sealed(*, drop_off: DropOff, pin: str) -> dict[str, Any]:
    """The columns of an order that hold its personal data, under a new key of their own."""
    wrapped = crypto.new_data_key()
    key = crypto.data_key(wrapped)
    return {
        "data_key": wrapped,
        "address_encrypted": crypto.encrypt(json.dumps(asdict(drop_off)), key=key),
        "pin_encrypted": crypto.encrypt(pin, key=key),
    }


class OrderLine(ShardedModel):
    """One item, as it was named and priced at the moment of ordering."""

    id = ShardAutoField(primary_key=True)
    order = ShardForeignKey(Order, on_delete=models.CASCADE, related_name="lines")
    customer_id = models.BigIntegerField()
    position = models.PositiveSmallIntegerField()
    item_id = models.BigIntegerField()
    name = models.CharField(max_length=200)
    department = models.CharField(max_length=80, blank=True)
    aisle = models.CharField(max_length=80, blank=True)
    rank = models.IntegerField(default=0)
    cost_unit = models.CharField(max_length=8)
    sold_by = models.CharField(max_length=8)
    unit_price_cents = models.BigIntegerField()  # what a unit costs; less than the next in a sale
    list_price_cents = models.BigIntegerField(null=True)  # on the shelf; null: no sale
    unit_grams = models.IntegerField(default=0, db_default=0)
    tax_category = models.CharField(max_length=40, blank=True)
    deposit_cents = models.BigIntegerField(default=0)
    quantity = models.DecimalField(max_digits=12, decimal_places=3)
    note = models.CharField(max_length=300, blank=True)
    replacement_policy = models.CharField(max_length=20)
    replacement_item_id = models.BigIntegerField(null=True)
    pieces = models.SmallIntegerField(null=True)  # asked for, of something weighed
    wish_version = models.IntegerField(default=0, db_default=0)  # how often the two above were changed while picking
    wished_cents = models.BigIntegerField(null=True)  # what that item was shown to cost when it was asked for then
    status = models.CharField(max_length=20, default=str(LineStatus.NOT_PICKED))
    found_quantity = models.DecimalField(max_digits=12, decimal_places=3, null=True)
    replacement_id = models.BigIntegerField(null=True)  # the one delivered; no foreign key, as that points here
    reason = models.CharField(max_length=20, blank=True, default="", db_default="")  # types.LineReason

    sharding: ClassVar = ShardKey("customer", field="customer_id")
    decides_money_or_stock = True

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "order", "position"], name="orders_line_position_once"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="orders_line_quantity_positive"),
            models.CheckConstraint(
                condition=Q(list_price_cents__isnull=True) | Q(list_price_cents__gte=F("unit_price_cents")),
                name="orders_line_sale_is_cheaper",
            ),
            models.CheckConstraint(
                condition=Q(found_quantity__isnull=True) | Q(found_quantity__gte=0),
                name="orders_line_found_not_negative",
            ),
            _one_of("status", LineStatus, "orders_line_status"),
            models.CheckConstraint(
                condition=Q(status="replaced", replacement_id__isnull=False)
                | ~Q(status="replaced") & Q(replacement_id__isnull=True),
                name="orders_line_replaced_by_something",
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.quantity} {self.cost_unit} {self.name}"

    @property
    def is_taken_out(self) -> bool:
        """By the customer: it is no part of the order any more."""
        return self.reason == LineReason.TAKEN_OUT


class Replacement(ShardedModel):
    """A question to the customer: may this be brought instead of that line? One row from the asking to the answer.

    Amounts in cents are price and deposit together: ``shown`` of what is proposed, ``ordered`` of the line.
    """

    id = ShardAutoField(primary_key=True)
    order = ShardForeignKey(Order, on_delete=models.CASCADE, related_name="replacements")
    customer_id = models.BigIntegerField()
    line = ShardForeignKey(OrderLine, on_delete=models.CASCADE, related_name="replacements", db_index=False)
    proposal_id = models.BigIntegerField()  # its number on the store's shard
    status = models.CharField(max_length=13)
    item_id = models.BigIntegerField(null=True)  # null: found by the shopper, in nobody's catalogue
    name = models.CharField(max_length=200)
    code = models.CharField(max_length=64, blank=True)
    cost_unit = models.CharField(max_length=8)
    sold_by = models.CharField(max_length=8)
    quantity = models.DecimalField(max_digits=12, decimal_places=3)
    unit_price_cents = models.BigIntegerField()
    list_price_cents = models.BigIntegerField()
    unit_grams = models.IntegerField()
    tax_category = models.CharField(max_length=40, blank=True)
    deposit_cents = models.BigIntegerField()
    shown_cents = models.BigIntegerField()
    ordered_cents = models.BigIntegerField()
    charged_cents = models.BigIntegerField(null=True)
    proposed_by = models.CharField(max_length=40)
    asked_at = models.DateTimeField()
    answer_by = models.DateTimeField()
    answered_by = models.CharField(max_length=40, blank=True)
    answered_at = models.DateTimeField(null=True)
    alternative_item_id = models.BigIntegerField(null=True)

    sharding: ClassVar = ShardKey("customer", field="customer_id")
    decides_money_or_stock = True

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "proposal_id"], name="orders_replacement_once"),
            models.UniqueConstraint(
                fields=["customer_id", "line"], condition=Q(status="proposed"), name="orders_replacement_one_open"
            ),
            _one_of("status", ReplacementStatus, "orders_replacement_status"),
            models.CheckConstraint(
                condition=Q(status="proposed", answered_at__isnull=True, answered_by="")
                | ~Q(status="proposed") & Q(answered_at__isnull=False) & ~Q(answered_by=""),
                name="orders_replacement_answered_by_somebody",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["approved", "auto_approved"], charged_cents__isnull=False)
                | ~Q(status__in=["approved", "auto_approved"]) & Q(charged_cents__isnull=True),
                name="orders_replacement_charged_if_accepted",
            ),
            models.CheckConstraint(
                condition=Q(charged_cents__isnull=True) | Q(charged_cents__gte=0, charged_cents__lte=F("shown_cents")),
                name="orders_replacement_no_more_than_shown",
            ),
            models.CheckConstraint(
                condition=~Q(status="auto_approved") | Q(charged_cents__lte=F("ordered_cents") * MOST_PERCENT / 100),
                name="orders_replacement_unasked_is_capped",
            ),
            models.CheckConstraint(
                condition=Q(alternative_item_id__isnull=True) | Q(status="rejected"),
                name="orders_replacement_alternative_if_rejected",
            ),
            models.CheckConstraint(
                condition=Q(quantity__gt=0, unit_price_cents__gt=0, deposit_cents__gte=0, ordered_cents__gte=0)
                & Q(list_price_cents__gte=F("unit_price_cents")),
                name="orders_replacement_of_something",
            ),
        ]
        indexes = [
            models.Index(fields=["answer_by"], condition=Q(status="proposed"), name="orders_replacement_open"),
            models.Index(fields=["line"], name="orders_replacement_of_line"),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.quantity} {self.cost_unit} {self.name} instead of line {self.line_id}: {self.status}"


class OrderAdjustment(ShardedModel):
    """One line of money. An order's total is the sum of one phase's lines; it is stored nowhere else."""

    id = ShardAutoField(primary_key=True)
    order = ShardForeignKey(Order, on_delete=models.CASCADE, related_name="adjustments")
    customer_id = models.BigIntegerField()
    kind = models.CharField(max_length=20)
    code = models.CharField(
        max_length=40, blank=True, db_default=""
    )  # the stage of the pricing that made it; see pricing.domain
    label = models.CharField(max_length=240)
    amount_cents = models.BigIntegerField()
    base_cents = models.BigIntegerField(null=True)  # what it is a percentage of: taxes and the surge
    line = ShardForeignKey(OrderLine, on_delete=models.CASCADE, null=True, related_name="adjustments")
    phase = models.CharField(max_length=10)
    reason = models.CharField(max_length=200, blank=True)
    actor = models.CharField(max_length=40)

    sharding: ClassVar = ShardKey("customer", field="customer_id")
    decides_money_or_stock = True

    class Meta:
        constraints = [
            _one_of("phase", Phase, "orders_adjustment_phase_known"),
            models.CheckConstraint(
                condition=~Q(phase="refund") | Q(amount_cents__lt=0), name="orders_refund_lines_below_zero"
            ),
            models.CheckConstraint(
                condition=~Q(kind="discount") | Q(amount_cents__lte=0), name="orders_discount_lessens"
            ),
            models.CheckConstraint(  # 30 %, and half a cent for the rounding
                condition=~Q(code="surge")
                | Q(base_cents__isnull=False, amount_cents__gte=0, amount_cents__lte=F("base_cents") * 0.3 + 0.5),
                name="orders_surge_is_capped",
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.label}: {self.amount_cents}"


class OrderRefund(ShardedModel):
    """A decision to give money back; its money lines are the adjustments of phase ``refund`` with its number."""

    id = ShardAutoField(primary_key=True)
    order = ShardForeignKey(Order, on_delete=models.CASCADE, related_name="refunds")
    customer_id = models.BigIntegerField()
    number = models.PositiveSmallIntegerField()
    key = models.CharField(max_length=80)
    fingerprint = models.CharField(max_length=64)
    amount_cents = models.BigIntegerField()
    reason = models.CharField(max_length=20)
    status = models.CharField(max_length=10)
    actor = models.CharField(max_length=40)
    requested_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    sharding: ClassVar = ShardKey("customer", field="customer_id")
    decides_money_or_stock = True

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "order", "number"], name="orders_refund_number_once"),
            models.UniqueConstraint(fields=["customer_id", "order", "key"], name="orders_refund_once_per_key"),
            models.CheckConstraint(condition=Q(amount_cents__gt=0), name="orders_refund_positive"),
            _one_of("status", RefundStatus, "orders_refund_status"),
            _one_of("reason", RefundReason, "orders_refund_reason"),
        ]

    @override
    def __str__(self) -> str:
        return f"refund {self.number} of {self.amount_cents} cents: {self.status}"


class OrderTip(ShardedModel):
    """A tip that the customer added after the delivery: the decision, which a payment of its own follows."""

    id = ShardAutoField(primary_key=True)
    order = ShardForeignKey(Order, on_delete=models.CASCADE, related_name="tips")
    customer_id = models.BigIntegerField()
    number = models.PositiveSmallIntegerField()
    amount_cents = models.BigIntegerField()
    card_id = models.BigIntegerField()
    status = models.CharField(max_length=10)
    failure_code = models.CharField(max_length=60, blank=True)
    asked_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    sharding: ClassVar = ShardKey("customer", field="customer_id")
    decides_money_or_stock = True

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "order", "number"], name="orders_tip_number_once"),
            models.UniqueConstraint(
                fields=["customer_id", "order"], condition=Q(status="asked"), name="orders_tip_one_at_a_time"
            ),
            models.CheckConstraint(condition=Q(amount_cents__gt=0), name="orders_tip_positive"),
            _one_of("status", TipStatus, "orders_tip_status"),
        ]

    @override
    def __str__(self) -> str:
        return f"tip {self.number} of {self.amount_cents} cents: {self.status}"


class OrderEvent(ShardedModel):
    """A step in the life of an order, written with the step. Rows are only ever added."""

    id = ShardAutoField(primary_key=True)
    order = ShardForeignKey(Order, on_delete=models.CASCADE, related_name="events")
    customer_id = models.BigIntegerField()
    sequence = models.PositiveIntegerField()
    name = models.CharField(max_length=60)
    from_status = models.CharField(max_length=30, blank=True)
    to_status = models.CharField(max_length=30)
    actor = models.CharField(max_length=40)
    at = models.DateTimeField()
    data = models.JSONField(default=dict)

    sharding: ClassVar = ShardKey("customer", field="customer_id")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "order", "sequence"], name="orders_event_sequence_once"),
        ]

    @override
    def __str__(self) -> str:
        return f"#{self.sequence} {self.name}"
