from typing import ClassVar

from django.db import models
from typing_extensions import override

from apps.payments.types import AccountStatus, DisputeStatus, PaymentStatus, PayoutStatus, RefundStatus, TransferStatus
from sharding import ShardAutoField, ShardedModel, ShardForeignKey, ShardKey, ShardRef


class Asked(models.Model):
    """A row for which the provider is called: the call under way, or the last one."""

    version = models.PositiveIntegerField(default=1)
    """Of the call; a repetition of one that may have been done keeps it, and with it the key."""
    idempotency_key = models.CharField(max_length=80)
    key_made_at = models.DateTimeField()
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    checked_at = models.DateTimeField()
    """When a sweep last asked about it."""

    class Meta:
        abstract = True


class Wallet(ShardedModel):
    """The customer as the provider knows them. No name, no address, no card number."""

    id = models.BigIntegerField(primary_key=True)
    stripe_customer_id = models.CharField(max_length=80, blank=True)
    version = models.PositiveIntegerField(default=1)
    """Part of the idempotency key with which the provider's customer is made."""

    sharding: ClassVar = ShardKey("customer", field="id")
    decides_money_or_stock = True

    @override
    def __str__(self) -> str:
        return f"wallet of customer {self.pk}"


class PaymentMethod(ShardedModel):
    """A card that the provider keeps; we know what is printed on a receipt."""

    id = ShardAutoField(primary_key=True)
    customer_id = models.BigIntegerField()
    stripe_id = models.CharField(max_length=80)
    brand = models.CharField(max_length=20)
    last4 = models.CharField(max_length=4)
    exp_month = models.PositiveSmallIntegerField()
    exp_year = models.PositiveSmallIntegerField()
    created_at = models.DateTimeField()

    sharding: ClassVar = ShardKey("customer", field="customer_id")
    decides_money_or_stock = True

    class Meta:
        constraints = [models.UniqueConstraint(fields=["customer_id", "stripe_id"], name="payments_card_once")]

    @override
    def __str__(self) -> str:
        return f"{self.brand} ending in {self.last4}"


class Payment(ShardedModel, Asked):
    """What one order pays in one step."""

    id = ShardAutoField(primary_key=True)
    customer_id = models.BigIntegerField()
    order_id = ShardRef("orders.Order")
    step = models.CharField(max_length=20)
    attempt = models.PositiveSmallIntegerField(default=1)
    card_id = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    amount_cents = models.BigIntegerField()
    is_charge = models.BooleanField(default=False, db_default=False)
    """Taken at once, without the customer there; all others are held first."""
    capture_cents = models.BigIntegerField(null=True)
    """Asked of the provider; what it took is ``captured_cents``."""
    captured_cents = models.BigIntegerField(default=0)
    refunded_cents = models.BigIntegerField(default=0)
    refunding_cents = models.BigIntegerField(default=0, db_default=0)
    """Asked back and not known to be given back; together with ``refunded_cents`` never above ``captured_cents``."""
    status = models.CharField(max_length=20, choices=[(status.value, status.value) for status in PaymentStatus])
    check_id = models.CharField(max_length=80, blank=True, db_default="")
    intent_id = models.CharField(max_length=80, blank=True)
    failure_code = models.CharField(max_length=60, blank=True)
    action_url = models.URLField(max_length=500, blank=True)
    return_url = models.URLField(max_length=500, blank=True)
    capture_before = models.DateTimeField(null=True)

    sharding: ClassVar = ShardKey("customer", field="customer_id")
    decides_money_or_stock = True

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "order_id", "step"], name="payments_one_per_order_and_step"),
            models.CheckConstraint(condition=models.Q(amount_cents__gt=0), name="payments_amount_positive"),
            models.CheckConstraint(
                condition=models.Q(
                    captured_cents__gte=0,
                    captured_cents__lte=models.F("amount_cents"),
                    refunded_cents__gte=0,
                    refunded_cents__lte=models.F("captured_cents"),
                ),
                name="payments_refunded_at_most_captured_at_most_amount",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    refunding_cents__gte=0,
                    captured_cents__gte=models.F("refunded_cents") + models.F("refunding_cents"),
                ),
                name="payments_asked_back_at_most_captured",
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=[status.value for status in PaymentStatus]),
                name="payments_status_is_known",
            ),
        ]
        indexes = [
            models.Index(
                fields=["checked_at"],
                condition=~models.Q(status__in=["captured", "voided", "expired", "declined"]),
                name="payments_open",
            )
        ]

    @override
    def __str__(self) -> str:
        return f"{self.step} of order {self.order_id}: {self.status}"


class Refund(ShardedModel, Asked):
    """Money going back from one payment."""

    id = ShardAutoField(primary_key=True)
    customer_id = models.BigIntegerField()
    payment = ShardForeignKey(Payment, on_delete=models.PROTECT, related_name="refunds")
    order_id = ShardRef("orders.Order")
    number = models.PositiveSmallIntegerField()
    request = models.CharField(max_length=80)
    amount_cents = models.BigIntegerField()
    reason = models.CharField(max_length=40)
    status = models.CharField(max_length=20, choices=[(status.value, status.value) for status in RefundStatus])
    refund_id = models.CharField(max_length=80, blank=True)
    failure_code = models.CharField(max_length=60, blank=True)

    sharding: ClassVar = ShardKey("customer", field="customer_id")
    decides_money_or_stock = True

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "payment", "number"], name="payments_refund_number_once"),
            models.UniqueConstraint(fields=["customer_id", "payment", "request"], name="payments_refund_request_once"),
            models.UniqueConstraint(
                fields=["customer_id", "refund_id"], condition=~models.Q(refund_id=""), name="payments_refund_once"
            ),
            models.CheckConstraint(condition=models.Q(amount_cents__gt=0), name="payments_refund_positive"),
            models.CheckConstraint(
                condition=models.Q(status__in=[status.value for status in RefundStatus]),
                name="payments_refund_status_known",
            ),
        ]
        indexes = [
            models.Index(fields=["checked_at"], condition=models.Q(status="requested"), name="payments_refund_open"),
            models.Index(fields=["order_id"], name="payments_refund_of_order"),
        ]

    @override
    def __str__(self) -> str:
        return f"refund {self.number} of {self.amount_cents} cents: {self.status}"


class RefundChange(ShardedModel):
    """A step in the life of a refund, written with it."""

    id = ShardAutoField(primary_key=True)
    customer_id = models.BigIntegerField()
    refund = ShardForeignKey(Refund, on_delete=models.PROTECT, related_name="changes")
    from_status = models.CharField(max_length=20, blank=True)
    to_status = models.CharField(max_length=20)
    at = models.DateTimeField()

    sharding: ClassVar = ShardKey("customer", field="customer_id")
    decides_money_or_stock = True

    @override
    def __str__(self) -> str:
        return f"{self.from_status or 'nothing'} to {self.to_status}"


class Dispute(ShardedModel):
    """A customer told their bank that they did not mean to pay."""

    id = ShardAutoField(primary_key=True)
    customer_id = models.BigIntegerField()
    payment = ShardForeignKey(Payment, on_delete=models.PROTECT, related_name="disputes")
    order_id = ShardRef("orders.Order")
    number = models.PositiveSmallIntegerField()
    dispute_id = models.CharField(max_length=80)
    amount_cents = models.BigIntegerField()
    reason = models.CharField(max_length=40)
    status = models.CharField(max_length=10, choices=[(status.value, status.value) for status in DisputeStatus])
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    sharding: ClassVar = ShardKey("customer", field="customer_id")
    decides_money_or_stock = True

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "dispute_id"], name="payments_dispute_once"),
            models.UniqueConstraint(fields=["customer_id", "payment", "number"], name="payments_dispute_number_once"),
            models.CheckConstraint(condition=models.Q(amount_cents__gt=0), name="payments_dispute_positive"),
            models.CheckConstraint(
                condition=models.Q(status="open", closed_at__isnull=True)
                | models.Q(status__in=["won", "lost"], closed_at__isnull=False),
                name="payments_dispute_status",
            ),
        ]
        indexes = [models.Index(fields=["order_id"], name="payments_dispute_of_order")]

    @override
    def __str__(self) -> str:
        return f"{self.amount_cents} cents, {self.reason}: {self.status}"


class PayoutAccount(models.Model):
    """Where a store or shopper is paid. Global, like the provider's news of it. Their bank's name stays there."""

    party_kind = models.CharField(max_length=10)
    party_id = models.BigIntegerField()
    account_id = models.CharField(max_length=80, blank=True)
    status = models.CharField(max_length=20, choices=[(status.value, status.value) for status in AccountStatus])
    version = models.PositiveIntegerField(default=1)
    paid_day = models.DateField(null=True)
    """The last day for which it was looked at whether anything is owed."""
    payouts_checked_at = models.DateTimeField(null=True)
    """When a sweep last asked what went from it to the owner's bank."""
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["party_kind", "party_id"], name="payments_account_once_a_party"),
            models.UniqueConstraint(
                fields=["account_id"], condition=~models.Q(account_id=""), name="payments_account_once"
            ),
            models.CheckConstraint(
                condition=models.Q(party_kind__in=["store", "shopper"]), name="payments_account_party_kind"
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=[status.value for status in AccountStatus]),
                name="payments_account_status",
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.party_kind} {self.party_id}: {self.status}"


class Transfer(Asked):
    """What one party was sent on one day."""

    account = models.ForeignKey(PayoutAccount, on_delete=models.PROTECT, related_name="transfers")
    day = models.DateField()
    amount_cents = models.BigIntegerField()
    pay_cents = models.BigIntegerField(default=0)
    """How much of it is a shopper's pay: it costs the platform; the rest was owed by orders."""
    reversed_cents = models.BigIntegerField(default=0)
    back_cents = models.BigIntegerField(default=0)
    """To be taken back in all; more than ``reversed_cents`` while the provider has not said so."""
    currency = models.CharField(max_length=3)
    status = models.CharField(max_length=20, choices=[(status.value, status.value) for status in TransferStatus])
    sent_id = models.CharField(max_length=80, blank=True)
    failure_code = models.CharField(max_length=60, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "day"], name="payments_transfer_once_a_day"),
            models.UniqueConstraint(fields=["sent_id"], condition=~models.Q(sent_id=""), name="payments_transfer_once"),
            models.CheckConstraint(
                condition=models.Q(
                    amount_cents__gt=0,
                    pay_cents__gte=0,
                    pay_cents__lte=models.F("amount_cents"),
                    reversed_cents__gte=0,
                    reversed_cents__lte=models.F("back_cents"),
                    back_cents__lte=models.F("amount_cents"),
                ),
                name="payments_transfer_amounts",
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=[status.value for status in TransferStatus]),
                name="payments_transfer_status",
            ),
        ]
        indexes = [
            models.Index(fields=["checked_at"], condition=models.Q(status="requested"), name="payments_transfer_open")
        ]

    @override
    def __str__(self) -> str:
        return f"{self.amount_cents} cents on {self.day}: {self.status}"


class Payout(models.Model):
    """What the provider paid from a party's account to their bank; the provider decides when, we take it down."""

    account = models.ForeignKey(PayoutAccount, on_delete=models.PROTECT, related_name="payouts")
    payout_id = models.CharField(max_length=80, unique=True)
    amount_cents = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    status = models.CharField(max_length=20, choices=[(status.value, status.value) for status in PayoutStatus])
    failure_code = models.CharField(max_length=60, blank=True)
    arrives_on = models.DateField()
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(amount_cents__gt=0), name="payments_payout_positive"),
            models.CheckConstraint(
                condition=models.Q(status__in=[status.value for status in PayoutStatus]),
                name="payments_payout_status",
            ),
        ]
        indexes = [
            models.Index(fields=["account"], condition=models.Q(status="pending"), name="payments_payout_under_way")
        ]

    @override
    def __str__(self) -> str:
        return f"{self.amount_cents} cents to the bank: {self.status}"


class StripeEvent(models.Model):
    """Inbox of what the provider told us, global because only the event itself says whose it is.

    ``payload`` holds what we act on (object, references), not the whole event.
    """

    id = models.CharField(max_length=80, primary_key=True)
    type = models.CharField(max_length=80)
    payload = models.JSONField()
    received_at = models.DateTimeField()
    handled_at = models.DateTimeField(null=True)

    @override
    def __str__(self) -> str:
        return f"{self.type} {self.pk}"
