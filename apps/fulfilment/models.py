"""The store's view of its orders: a projection, made by events, that the shopper's work is written into."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from typing_extensions import override

from apps.fulfilment.domain import TO_BE_PICKED, LineStatus, ReceiptState, Status
from apps.orders.types import LineReason, ReplacementStatus
from sharding import ShardAutoField, ShardedModel, ShardForeignKey, ShardKey

_WITH_A_SHOPPER = [Status.ASSIGNED, Status.PICKING, Status.CHECKOUT, Status.DELIVERING, Status.DELIVERED]


class StoreOrder(ShardedModel):
    id = ShardAutoField(primary_key=True)
    store_id = models.BigIntegerField()
    order_id = models.BigIntegerField()
    customer_id = models.BigIntegerField()
    zone_id = models.BigIntegerField()
    window_starts_at = models.DateTimeField()
    window_ends_at = models.DateTimeField()
    window_version = models.IntegerField(default=1, db_default=1)  # the order's how-manieth window this is
    drop_lat = models.FloatField()
    drop_lng = models.FloatField()
    line_count = models.PositiveIntegerField()
    unit_count = models.PositiveIntegerField()
    lines_done = models.IntegerField(db_default=0)
    """What an earlier shopper had done of the lines when it was taken from them, and ``units_done`` of the units."""
    units_done = models.IntegerField(db_default=0)
    grams = models.BigIntegerField(db_default=0)
    """All of it together, partly estimated; 0 where nobody reckoned it."""
    has_alcohol = models.BooleanField(db_default=False)
    is_cold = models.BooleanField(db_default=False)
    """Something of it must stay cold."""
    tip_cents = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    status = models.CharField(max_length=12, default=Status.WAITING)
    shopper_id = models.BigIntegerField(null=True)
    projected_at = models.DateTimeField()
    assigned_at = models.DateTimeField(null=True)
    picking_started_at = models.DateTimeField(null=True)
    picked_at = models.DateTimeField(null=True)
    delivery_started_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    canceled_at = models.DateTimeField(null=True)
    progress_at = models.DateTimeField(null=True)
    """When its shopper last did something about it."""
    edits = models.IntegerField(default=0, db_default=0)
    """How often the customer has changed the list; each is an ``OrderEdit``."""
    checks_receipt = models.BooleanField(default=False, db_default=False)
    """Its store wanted that when the order came to it."""
    receipt_passed_at = models.DateTimeField(null=True)
    """When the till's receipt was found right, or accepted as it is; None where nobody asks for it, or not yet."""
    bag_count = models.SmallIntegerField(null=True)

    sharding: ClassVar = ShardKey("store", field="store_id")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["store_id", "order_id"], name="fulfilment_order_once"),
            models.CheckConstraint(
                condition=Q(status__in=[str(status) for status in Status]), name="fulfilment_order_status"
            ),
            models.CheckConstraint(
                condition=Q(status=Status.CANCELED)
                | Q(status=Status.WAITING, shopper_id__isnull=True)
                | Q(status__in=_WITH_A_SHOPPER, shopper_id__isnull=False),
                name="fulfilment_order_shopper_fits_status",
            ),
            models.CheckConstraint(condition=Q(grams__gte=0), name="fulfilment_order_weighs"),
            models.CheckConstraint(
                condition=Q(lines_done__gte=0, lines_done__lte=F("line_count"))
                & Q(units_done__gte=0, units_done__lte=F("unit_count")),
                name="fulfilment_order_done",
            ),
        ]
        indexes = [
            models.Index(
                fields=["store_id", "window_ends_at"],
                name="fulfilment_waiting",
                condition=Q(status=Status.WAITING),
            ),
            models.Index(fields=["store_id", "projected_at"], name="fulfilment_of_store"),
            models.Index(
                fields=["progress_at"], name="fulfilment_quiet", condition=Q(status__in=[str(s) for s in TO_BE_PICKED])
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"order {self.order_id} at store {self.store_id} ({self.status})"


class Proposal(ShardedModel):
    """What a shopper proposes instead of a line. The customer's shard decides about it; ``status`` follows that.

    ``key`` is the request's; the same request again is the same proposal.
    """

    id = ShardAutoField(primary_key=True)
    store_order = ShardForeignKey(StoreOrder, on_delete=models.CASCADE, related_name="proposals", db_index=False)
    store_id = models.BigIntegerField()
    order_id = models.BigIntegerField()
    line_id = models.BigIntegerField()
    key = models.CharField(max_length=80)
    shopper_id = models.BigIntegerField()
    status = models.CharField(max_length=13, default=str(ReplacementStatus.PROPOSED))
    is_withdrawn = models.BooleanField(default=False)
    """The shopper takes it back; it stays open until the customer's shard says that nobody had answered."""
    item_id = models.BigIntegerField(null=True)
    name = models.CharField(max_length=200)
    code = models.CharField(max_length=64, blank=True)
    cost_unit = models.CharField(max_length=8)
    sold_by = models.CharField(max_length=8)
    quantity = models.DecimalField(max_digits=12, decimal_places=3)
    unit_price_cents = models.BigIntegerField()
    list_price_cents = models.BigIntegerField()
    unit_grams = models.IntegerField(default=0)
    tax_category = models.CharField(max_length=40, blank=True)
    deposit_cents = models.BigIntegerField(default=0)
    proposed_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)

    sharding: ClassVar = ShardKey("store", field="store_id")
    decides_money_or_stock = True

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["store_id", "store_order", "key"], name="fulfilment_proposal_once"),
            models.UniqueConstraint(
                fields=["store_id", "line_id"], condition=Q(status="proposed"), name="fulfilment_proposal_one_open"
            ),
            models.CheckConstraint(
                condition=Q(status__in=[str(status) for status in ReplacementStatus]),
                name="fulfilment_proposal_status",
            ),
            models.CheckConstraint(
                condition=Q(status="proposed", answered_at__isnull=True)
                | ~Q(status="proposed") & Q(answered_at__isnull=False),
                name="fulfilment_proposal_answered",
            ),
            models.CheckConstraint(
                condition=Q(quantity__gt=0, unit_price_cents__gt=0, deposit_cents__gte=0),
                name="fulfilment_proposal_of_something",
            ),
        ]
        indexes = [models.Index(fields=["store_order"], name="fulfilment_proposal_of_order")]

    @override
    def __str__(self) -> str:
        return f"{self.quantity} {self.cost_unit} {self.name} instead of line {self.line_id}: {self.status}"


class PickLine(ShardedModel):
    """``line_id`` is the order line's id on the customer's shard."""

    id = ShardAutoField(primary_key=True)
    store_order = ShardForeignKey(StoreOrder, on_delete=models.CASCADE, related_name="lines", db_index=False)
    store_id = models.BigIntegerField()
    line_id = models.BigIntegerField()
    item_id = models.BigIntegerField()
    name = models.CharField(max_length=200)
    department = models.CharField(max_length=80, blank=True)
    aisle = models.CharField(max_length=40, blank=True)
    rank = models.IntegerField(default=0)
    quantity = models.DecimalField(max_digits=12, decimal_places=3)
    cost_unit = models.CharField(max_length=8)
    sold_by = models.CharField(max_length=8)
    unit_price_cents = models.BigIntegerField()
    note = models.CharField(max_length=300, blank=True)
    replacement_policy = models.CharField(max_length=20)
    replacement_item_id = models.BigIntegerField(null=True)
    wish_version = models.IntegerField(default=0, db_default=0)  # of the customer's word on the two above
    replaced_by = ShardForeignKey(Proposal, on_delete=models.RESTRICT, null=True, related_name="+", db_index=False)
    status = models.CharField(max_length=12, default=LineStatus.NOT_PICKED)
    found_quantity = models.DecimalField(max_digits=12, decimal_places=3, default=0)
    refund_reason = models.CharField(max_length=200, blank=True)

    sharding: ClassVar = ShardKey("store", field="store_id")
    decides_money_or_stock = True

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["store_id", "store_order", "line_id"], name="fulfilment_line_once"),
            models.CheckConstraint(
                condition=Q(status__in=[str(status) for status in LineStatus]), name="fulfilment_line_status"
            ),
            models.CheckConstraint(
                condition=Q(status=LineStatus.FOUND, found_quantity__gt=0)
                | ~Q(status=LineStatus.FOUND) & Q(found_quantity=0),
                name="fulfilment_line_found_something",
            ),
            models.CheckConstraint(
                condition=Q(sold_by="weight") | Q(found_quantity__lte=F("quantity")),
                name="fulfilment_line_no_more_than_ordered",
            ),
            models.CheckConstraint(
                condition=Q(status="replaced", replaced_by__isnull=False)
                | ~Q(status="replaced") & Q(replaced_by__isnull=True),
                name="fulfilment_line_replaced_by_something",
            ),
        ]
        indexes = [models.Index(fields=["store_order"], name="fulfilment_line_of_order")]

    @override
    def __str__(self) -> str:
        return f"{self.quantity} {self.cost_unit} {self.name}"

    @property
    def is_taken_out(self) -> bool:
        """By the customer: nobody looks for it."""
        return self.refund_reason == LineReason.TAKEN_OUT


class OrderEdit(ShardedModel):
    """A change of the list that the store has agreed to; the customer's order follows. Rows are only ever added."""

    id = ShardAutoField(primary_key=True)
    store_order = ShardForeignKey(StoreOrder, on_delete=models.CASCADE, related_name="order_edits", db_index=False)
    store_id = models.BigIntegerField()
    number = models.IntegerField()
    key = models.CharField(max_length=64)
    fingerprint = models.CharField(max_length=64)
    content = models.JSONField()
    at = models.DateTimeField()

    sharding: ClassVar = ShardKey("store", field="store_id")
    decides_money_or_stock = True

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["store_id", "store_order", "number"], name="fulfilment_edit_number_once"),
            models.UniqueConstraint(fields=["store_id", "store_order", "key"], name="fulfilment_edit_once_per_key"),
        ]

    @override
    def __str__(self) -> str:
        return f"edit {self.number} of store order {self.store_order_id}"


class Receipt(ShardedModel):
    """What the shopper read from the till's receipt, against what the found goods come to. The last entry stands."""

    id = ShardAutoField(primary_key=True)
    store_order = ShardForeignKey(StoreOrder, on_delete=models.CASCADE, related_name="receipts", db_index=False)
    store_id = models.BigIntegerField()
    attempt = models.PositiveSmallIntegerField()
    entered_cents = models.BigIntegerField()
    expected_cents = models.BigIntegerField()
    state = models.CharField(max_length=8)
    photo = models.CharField(max_length=100, blank=True)
    at = models.DateTimeField()
    seen_by_id = models.BigIntegerField(null=True)
    seen_at = models.DateTimeField(null=True)
    """When an operator has looked at a flagged one, and who."""

    sharding: ClassVar = ShardKey("store", field="store_id")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["store_id", "store_order"], name="fulfilment_receipt_once"),
            models.CheckConstraint(
                condition=Q(state__in=[str(state) for state in ReceiptState]), name="fulfilment_receipt_state"
            ),
            models.CheckConstraint(
                condition=Q(entered_cents__gte=0, expected_cents__gte=0), name="fulfilment_receipt_amounts"
            ),
        ]
        indexes = [
            models.Index(
                fields=["at"],
                name="fulfilment_receipt_flagged",
                condition=Q(state=str(ReceiptState.FLAGGED), seen_at__isnull=True),
            )
        ]

    @override
    def __str__(self) -> str:
        return f"{self.entered_cents} cents instead of {self.expected_cents}: {self.state}"


class Proof(ShardedModel):
    """That an order was handed over. A photo's ``reference`` is its file; a PIN is never kept."""

    id = ShardAutoField(primary_key=True)
    store_order = ShardForeignKey(StoreOrder, on_delete=models.CASCADE, related_name="proofs", db_index=False)
    store_id = models.BigIntegerField()
    kind = models.CharField(max_length=8)
    reference = models.CharField(max_length=100, blank=True)
    at = models.DateTimeField()

    sharding: ClassVar = ShardKey("store", field="store_id")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["store_id", "store_order"], name="fulfilment_proof_once"),
            models.CheckConstraint(
                condition=Q(kind="pin", reference="") | Q(kind="photo") & ~Q(reference=""),
                name="fulfilment_proof_kind",
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.kind} for store order {self.store_order_id}"
