from typing import ClassVar

from django.db import models
from typing_extensions import override

from apps.carts.types import BEST_MATCH, ITEM
from sharding import ShardAutoField, ShardedModel, ShardForeignKey, ShardKey, ShardRef


class Cart(ShardedModel):
    """One customer's basket at one store, on the customer's shard."""

    id = ShardAutoField(primary_key=True)
    customer_id = models.BigIntegerField()
    store_id = ShardRef("stores.Store")
    version = models.PositiveBigIntegerField(default=0)
    changed_at = models.DateTimeField(auto_now=True)

    sharding: ClassVar = ShardKey("customer", field="customer_id")
    decides_money_or_stock = True

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "store_id"], name="carts_one_cart_per_store"),
        ]

    @override
    def __str__(self) -> str:
        return f"cart of customer {self.customer_id} at store {self.store_id}"


class CartLine(ShardedModel):
    id = ShardAutoField(primary_key=True)
    cart = ShardForeignKey(Cart, on_delete=models.CASCADE, related_name="+")
    customer_id = models.BigIntegerField()
    item_id = ShardRef("catalog.Item")
    quantity = models.DecimalField(max_digits=9, decimal_places=3)
    note = models.CharField(max_length=200, blank=True)
    replacement_policy = models.CharField(max_length=20, default=BEST_MATCH)
    replacement_item_id = ShardRef("catalog.Item", null=True)
    pieces = models.SmallIntegerField(null=True)  # asked for, of something weighed
    seen_price_cents = models.BigIntegerField(
        null=True
    )  # of a unit, when the line was put in; null: of before we noted

    sharding: ClassVar = ShardKey("customer", field="customer_id")
    decides_money_or_stock = True

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "cart", "item_id"], name="carts_line_once_per_item"),
            models.CheckConstraint(condition=models.Q(quantity__gt=0), name="carts_line_quantity_positive"),
            models.CheckConstraint(
                condition=models.Q(replacement_policy=ITEM) ^ models.Q(replacement_item_id__isnull=True),
                name="carts_line_replacement_named",
            ),
            models.CheckConstraint(
                condition=models.Q(pieces__isnull=True) | models.Q(pieces__gt=0), name="carts_line_pieces_positive"
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.quantity} of item {self.item_id}"


class ReplacementChoice(ShardedModel):
    """What a customer wanted last when an item is out."""

    id = ShardAutoField(primary_key=True)
    customer_id = models.BigIntegerField()
    item_id = ShardRef("catalog.Item")
    replacement_policy = models.CharField(max_length=20)
    replacement_item_id = ShardRef("catalog.Item", null=True)

    sharding: ClassVar = ShardKey("customer", field="customer_id")
    decides_money_or_stock = True

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "item_id"], name="carts_choice_once_per_item"),
            models.CheckConstraint(
                condition=models.Q(replacement_policy=ITEM) ^ models.Q(replacement_item_id__isnull=True),
                name="carts_choice_replacement_named",
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.replacement_policy} for item {self.item_id}"


class AlcoholRule(models.Model):
    """Whether alcohol may be brought to addresses whose postcode begins so; the longest prefix counts, none allows it.

    For everybody the same: in the global database.
    """

    state = models.CharField(max_length=2)
    postcode_prefix = models.CharField(max_length=10, blank=True)
    is_allowed = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["state", "postcode_prefix"], name="carts_alcohol_rule_once_per_place"),
        ]

    @override
    def __str__(self) -> str:
        return (
            f"alcohol {'allowed' if self.is_allowed else 'not allowed'} in {self.state} {self.postcode_prefix}".rstrip()
        )
