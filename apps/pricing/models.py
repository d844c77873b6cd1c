"""Fees and taxes are the same for everybody who orders: small tables in the global database."""

from django.db import models
from typing_extensions import override

from apps.pricing import domain


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
    grams_above = models.PositiveIntegerField(
        null=True, blank=True, help_text="Only for goods heavier than this; empty: for all."
    )
    distance_above_m = models.PositiveIntegerField(
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
                & (models.Q(goods_below_cents__isnull=True) | models.Q(goods_below_cents__gt=0)),
                name="pricing_fee_amounts_not_negative",
            ),
            models.CheckConstraint(
                condition=~models.Q(code__in=["", "surge", "delivery"]), name="pricing_fee_code_is_free"
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.code} of store {self.store_id}" if self.store_id else self.code


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
