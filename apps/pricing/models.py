"""Fees, taxes and promotions are the same for everybody: small tables in the global database.

Who has used a promotion is on the customer's shard, beside the order that used it.
"""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from typing_extensions import override

from apps.pricing import domain, promoting
from apps.pricing.types import ENDINGS
from sharding import ShardAutoField, ShardedModel, ShardKey, ShardRef


class FeeRule(models.Model):
    """A fee of every store, or (with ``store_id``) of one store, which then goes before the general one."""

    code = models.CharField(max_length=20)
    store_id = models.BigIntegerField(null=True, blank=True)
    label = models.CharField(max_length=60)
    position = models.PositiveSmallIntegerField(default=0)
    flat_cents = models.BigIntegerField(default=0)
    percent = models.DecimalField(max_digits=7, decimal_places=4, default=0)
    minimum_cents = models.BigIntegerField(null=True, blank=True)
    maximum_cents = models.BigIntegerField(null=True, blank=True)
    tax_category = models.CharField(max_length=20, default="service")
    goods_below_cents = models.BigIntegerField(
        null=True, blank=True, help_text="Only for baskets of less than this; empty: for all."
    )
    grams_above = models.IntegerField(
        null=True, blank=True, help_text="Only for goods heavier than this; empty: for all."
    )
    distance_above_m = models.IntegerField(
        null=True,
        blank=True,
        help_text="Only for addresses farther from the store, in a straight line; empty: for all.",
    )
    priority_only = models.BooleanField(default=False, db_default=False, help_text="Only for priority windows.")
    is_active = models.BooleanField(default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["code", "store_id"], nulls_distinct=False, name="pricing_fee_once_per_store"
            ),
            models.CheckConstraint(
                condition=models.Q(flat_cents__gte=0, percent__gte=0, percent__lte=100), name="pricing_fee_not_negative"
            ),
            models.CheckConstraint(
                condition=models.Q(minimum_cents__isnull=True)
                | models.Q(maximum_cents__isnull=True)
                | models.Q(minimum_cents__lte=models.F("maximum_cents")),
                name="pricing_fee_limits_in_order",
            ),
            models.CheckConstraint(
                condition=(models.Q(minimum_cents__isnull=True) | models.Q(minimum_cents__gte=0))
                & (models.Q(maximum_cents__isnull=True) | models.Q(maximum_cents__gte=0))
                & (models.Q(goods_below_cents__isnull=True) | models.Q(goods_below_cents__gt=0))
                & (models.Q(grams_above__isnull=True) | models.Q(grams_above__gte=0))
                & (models.Q(distance_above_m__isnull=True) | models.Q(distance_above_m__gte=0)),
                name="pricing_fee_amounts_not_negative",
            ),
            models.CheckConstraint(
                condition=~models.Q(code__in=["", "surge", "delivery"]), name="pricing_fee_code_is_free"
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.code} of store {self.store_id}" if self.store_id else self.code


class EndingFee(models.Model):
    """What an order costs that ends without a delivery; a zone's own rule goes before the general one. None: nothing.

    It is not taxed, and never more than is held for the order.
    """

    ending = models.CharField(max_length=16, choices=[(ending, ending) for ending in ENDINGS])
    zone_id = models.BigIntegerField(null=True, blank=True, help_text="Empty: every zone without a rule of its own.")
    flat_cents = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["ending", "zone_id"], nulls_distinct=False, name="pricing_ending_fee_once_per_zone"
            ),
            models.CheckConstraint(condition=models.Q(flat_cents__gte=0), name="pricing_ending_fee_not_negative"),
            models.CheckConstraint(condition=models.Q(ending__in=list(ENDINGS)), name="pricing_ending_known"),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.ending} in zone {self.zone_id}" if self.zone_id else self.ending


class TaxRate(models.Model):
    """Percent on one tax category where a postcode begins with ``postcode_prefix``; the longest prefix counts."""

    state = models.CharField(max_length=2)
    postcode_prefix = models.CharField(max_length=10, blank=True)
    tax_category = models.CharField(max_length=20)
    percent = models.DecimalField(max_digits=7, decimal_places=4)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["state", "postcode_prefix", "tax_category"], name="pricing_tax_once_per_place"
            ),
            models.CheckConstraint(
                condition=models.Q(percent__gte=0, percent__lte=100), name="pricing_tax_percent_in_range"
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.tax_category} {self.percent} % in {self.state} {self.postcode_prefix}".rstrip()


class Surge(models.Model):
    """While a zone has more orders than shoppers: a percentage on the fees of what is ordered there."""

    zone_id = models.BigIntegerField(unique=True)
    percent = models.DecimalField(
        max_digits=5, decimal_places=2, help_text=f"Of the fees, at most {domain.MAX_SURGE_PERCENT}."
    )
    ends_at = models.DateTimeField()
    reason = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(percent__gte=0, percent__lte=domain.MAX_SURGE_PERCENT),
                name="pricing_surge_is_capped",
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.percent} % in zone {self.zone_id}"


class Promotion(models.Model):
    code = models.CharField(
        max_length=30, blank=True, help_text="Capital letters and digits; empty: everybody gets it by themselves."
    )
    label = models.CharField(max_length=100, help_text="What the receipt says.")
    percent = models.DecimalField(max_digits=5, decimal_places=2, default=0)
    amount_cents = models.BigIntegerField(default=0)
    currency = models.CharField(max_length=3, default="USD")
    minimum_cents = models.BigIntegerField(default=0, help_text="Of goods at sale prices.")
    store_id = models.BigIntegerField(null=True, blank=True, help_text="Empty: every store.")
    retailer_id = models.BigIntegerField(null=True, blank=True, help_text="Empty: every retailer.")
    departments = ArrayField(
        models.CharField(max_length=80),
        default=list,
        blank=True,
        help_text="Slugs such as dairy-eggs; with no item either: everything.",
    )
    item_codes = ArrayField(
        models.CharField(max_length=64), default=list, blank=True, help_text="The stores' own lookup codes."
    )
    per_customer_limit = models.PositiveSmallIntegerField(null=True, blank=True, help_text="Empty: no limit.")
    first_order_only = models.BooleanField(default=False)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True)
    is_active = models.BooleanField(default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["code"], condition=~models.Q(code=""), name="pricing_promotion_code_once"),
            models.CheckConstraint(
                condition=models.Q(percent__gt=0, percent__lte=100, amount_cents=0)
                | models.Q(percent=0, amount_cents__gt=0),
                name="pricing_promotion_percent_or_amount",
            ),
            models.CheckConstraint(condition=models.Q(minimum_cents__gte=0), name="pricing_promotion_minimum"),
            models.CheckConstraint(
                condition=models.Q(per_customer_limit__isnull=True) | models.Q(per_customer_limit__gt=0),
                name="pricing_promotion_limit",
            ),
            models.CheckConstraint(
                condition=models.Q(first_order_only=False)
                | models.Q(per_customer_limit__isnull=False, per_customer_limit=1),
                name="pricing_promotion_first_order_is_once",
            ),
            models.CheckConstraint(
                condition=models.Q(ends_at__isnull=True) | models.Q(starts_at__lt=models.F("ends_at")),
                name="pricing_promotion_ends_after_it_starts",
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.label} ({self.code})" if self.code else self.label

    @override
    def clean(self) -> None:
        self.code = self.code.strip().upper()
        fault = promoting.faults(
            code=self.code,
            percent=self.percent,
            amount_cents=self.amount_cents,
            first_order_only=self.first_order_only,
            per_customer_limit=self.per_customer_limit,
        )
        if fault:
            raise ValidationError(fault)


class Redemption(ShardedModel):
    """One order has used one promotion. ``number`` counts a customer's uses of one that is limited, from 1."""

    id = ShardAutoField(primary_key=True)
    customer_id = models.BigIntegerField()
    promotion_id = models.BigIntegerField()
    order_id = ShardRef("orders.Order")
    number = models.PositiveSmallIntegerField(null=True)
    at = models.DateTimeField()

    sharding: ClassVar = ShardKey("customer", field="customer_id")
    decides_money_or_stock = True

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["customer_id", "promotion_id", "order_id"], name="pricing_redemption_once_per_order"
            ),
            models.UniqueConstraint(
                fields=["customer_id", "promotion_id", "number"], name="pricing_redemption_number_once"
            ),
            models.CheckConstraint(
                condition=models.Q(number__isnull=True) | models.Q(number__gt=0), name="pricing_redemption_number"
            ),
        ]
        indexes = [models.Index(fields=["customer_id", "order_id"], name="pricing_redemption_of_order")]

    @override
    def __str__(self) -> str:
        return f"promotion {self.promotion_id} in order {self.order_id}"
