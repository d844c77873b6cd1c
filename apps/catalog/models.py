"""Products, the same for every store (global database), and items: what one store sells them as (its shard)."""

from typing import ClassVar

from django.db import models
from typing_extensions import override

from sharding import ShardAutoField, ShardedModel, ShardForeignKey, ShardKey


class Product(models.Model):
    name = models.CharField(max_length=200)
    brand = models.CharField(max_length=100, blank=True)
    size = models.CharField(max_length=60, blank=True)
    category = models.CharField(max_length=160, blank=True)

    @override
    def __str__(self) -> str:
        return self.name


class ProductCode(models.Model):
    """A number by which a product is known: to all (GTIN, PLU) or to one retailer (SKU)."""

    GTIN, PLU, SKU = "gtin", "plu", "sku"

    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="codes")
    kind = models.CharField(max_length=4, choices=[(GTIN, "GTIN"), (PLU, "PLU"), (SKU, "SKU")])
    code = models.CharField(max_length=64)
    retailer_id = models.BigIntegerField(null=True, blank=True, help_text="Whose SKU it is; empty for GTIN and PLU.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "code", "retailer_id"], nulls_distinct=False, name="catalog_code_once"
            ),
            models.CheckConstraint(
                condition=models.Q(kind="sku") ^ models.Q(retailer_id__isnull=True), name="catalog_sku_has_retailer"
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.kind} {self.code}"


class Item(ShardedModel):
    id = ShardAutoField(primary_key=True)
    store_id = models.BigIntegerField()
    product_id = models.BigIntegerField()
    lookup_code = models.CharField(max_length=64)
    name = models.CharField(max_length=200)
    brand = models.CharField(max_length=100, blank=True)
    size = models.CharField(max_length=60, blank=True)
    department = models.CharField(max_length=80)
    department_slug = models.CharField(max_length=80)
    aisle = models.CharField(max_length=80, blank=True)
    rank = models.PositiveIntegerField(default=0)
    cost_unit = models.CharField(max_length=4, choices=[(unit, unit) for unit in ("each", "lb", "kg")])
    price_cents = models.BigIntegerField()
    sale_price_cents = models.BigIntegerField(null=True, blank=True)
    sale_starts_at = models.DateTimeField(null=True, blank=True)
    sale_ends_at = models.DateTimeField(null=True, blank=True)
    par_weight = models.DecimalField(max_digits=6, decimal_places=3, null=True, blank=True)
    max_in_cart = models.PositiveSmallIntegerField()
    tax_category = models.CharField(max_length=20)
    deposit_cents = models.BigIntegerField(default=0)
    alcoholic = models.BooleanField(default=False)
    snap = models.BooleanField(default=False)
    in_assortment = models.BooleanField(default=True)
    changed_at = models.DateTimeField()

    sharding: ClassVar = ShardKey("store", field="store_id")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["store_id", "lookup_code"], name="catalog_item_once_per_store"),
            models.CheckConstraint(condition=models.Q(price_cents__gt=0), name="catalog_item_costs_something"),
            models.CheckConstraint(
                condition=models.Q(sale_price_cents__isnull=True)
                | models.Q(sale_price_cents__gt=0, sale_price_cents__lt=models.F("price_cents")),
                name="catalog_item_sale_is_cheaper",
            ),
            models.CheckConstraint(
                condition=models.Q(sale_starts_at__isnull=True)
                | models.Q(sale_ends_at__isnull=True)
                | models.Q(sale_starts_at__lt=models.F("sale_ends_at")),
                name="catalog_item_sale_ends_after_it_starts",
            ),
            models.CheckConstraint(condition=models.Q(deposit_cents__gte=0), name="catalog_item_deposit"),
            models.CheckConstraint(condition=models.Q(max_in_cart__gt=0), name="catalog_item_may_be_bought"),
            models.CheckConstraint(condition=models.Q(cost_unit__in=["each", "lb", "kg"]), name="catalog_item_unit"),
        ]
        indexes = [
            models.Index(
                fields=["store_id", "department_slug", "aisle", "rank", "name", "id"],
                condition=models.Q(in_assortment=True),
                name="catalog_item_on_the_shelf",
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.name} ({self.lookup_code})"


class FeedRun(ShardedModel):
    """One feed of one store, taken over."""

    id = ShardAutoField(primary_key=True)
    store_id = models.BigIntegerField()
    at = models.DateTimeField()
    rows = models.PositiveIntegerField()
    created = models.PositiveIntegerField()
    updated = models.PositiveIntegerField()
    unchanged = models.PositiveIntegerField()
    bad_rows = models.PositiveIntegerField()

    sharding: ClassVar = ShardKey("store", field="store_id")

    class Meta:
        indexes = [models.Index(fields=["store_id", "-at"], name="catalog_feedrun_latest")]

    @override
    def __str__(self) -> str:
        return f"feed of store {self.store_id} at {self.at:%Y-%m-%d %H:%M}"


class FeedRowError(ShardedModel):
    id = ShardAutoField(primary_key=True)
    store_id = models.BigIntegerField()
    feed_run = ShardForeignKey(FeedRun, on_delete=models.CASCADE, related_name="row_errors")
    line = models.PositiveIntegerField()
    column = models.CharField(max_length=80, blank=True)
    value = models.CharField(max_length=100, blank=True)
    reason = models.CharField(max_length=200)

    sharding: ClassVar = ShardKey("store", field="store_id")

    @override
    def __str__(self) -> str:
        return f"line {self.line} {self.column} {self.reason}"
