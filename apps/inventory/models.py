from typing import Any, ClassVar

from django.db import models
from typing_extensions import override

from apps.inventory import domain
from sharding import ShardAutoField, ShardedModel, ShardKey


class StockLevel(ShardedModel):
    """How much of an item lies in the store, and how much of that is promised to orders; in its ``cost_unit``."""

    id = ShardAutoField(primary_key=True)
    store_id = models.BigIntegerField()
    item_id = models.BigIntegerField()
    on_hand = models.DecimalField(max_digits=12, decimal_places=3)
    reserved = models.DecimalField(max_digits=12, decimal_places=3, default=0)
    missing_since = models.DateTimeField(null=True, blank=True)
    """A shopper found none on the shelf then: nothing more is promised until somebody counts."""

    sharding: ClassVar = ShardKey("store", field="store_id")
    decides_money_or_stock = True

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["store_id", "item_id"], name="inventory_level_once"),
            models.CheckConstraint(condition=models.Q(on_hand__gte=0), name="inventory_level_on_hand"),
            models.CheckConstraint(
                condition=models.Q(reserved__gte=0, reserved__lte=models.F("on_hand")), name="inventory_level_reserved"
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"item {self.item_id}: {self.on_hand}, {self.reserved} reserved"


class Reservation(ShardedModel):
    """What one order was promised of one item. ``held`` runs out at ``expires_at``; ``committed`` does not."""

    id = ShardAutoField(primary_key=True)
    store_id = models.BigIntegerField()
    order_id = models.BigIntegerField()
    item_id = models.BigIntegerField()
    quantity = models.DecimalField(max_digits=12, decimal_places=3)
    state = models.CharField(max_length=9, choices=[(state, state) for state in domain.STATES])
    expires_at = models.DateTimeField()

    sharding: ClassVar = ShardKey("store", field="store_id")
    decides_money_or_stock = True

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["store_id", "order_id", "item_id"], name="inventory_reservation_once"),
            models.CheckConstraint(condition=models.Q(quantity__gt=0), name="inventory_reservation_of_something"),
            models.CheckConstraint(condition=models.Q(state__in=domain.STATES), name="inventory_reservation_state"),
        ]
        indexes = [
            models.Index(
                fields=["expires_at", "id"], condition=models.Q(state="held"), name="inventory_reservation_expiry"
            ),
            models.Index(
                fields=["store_id", "item_id"],
                condition=models.Q(state__in=["held", "committed"]),
                name="inventory_reservation_live",
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"order {self.order_id}: {self.quantity} of item {self.item_id}, {self.state}"


class ReplacementHold(ShardedModel):
    """What one order was promised of an item while it is being picked, instead of one that was out.

    Beside ``Reservation``, which stays what the order was placed with. ``claim_id`` is the caller's number for it.
    """

    id = ShardAutoField(primary_key=True)
    store_id = models.BigIntegerField()
    order_id = models.BigIntegerField()
    claim_id = models.BigIntegerField()
    item_id = models.BigIntegerField()
    quantity = models.DecimalField(max_digits=12, decimal_places=3)
    state = models.CharField(max_length=9)

    sharding: ClassVar = ShardKey("store", field="store_id")
    decides_money_or_stock = True

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["store_id", "claim_id"], name="inventory_replacement_once"),
            models.CheckConstraint(condition=models.Q(quantity__gt=0), name="inventory_replacement_of_something"),
            models.CheckConstraint(
                condition=models.Q(state__in=[domain.COMMITTED, domain.CONSUMED, domain.RELEASED]),
                name="inventory_replacement_state",
            ),
        ]
        indexes = [
            models.Index(
                fields=["store_id", "order_id"],
                condition=models.Q(state=domain.COMMITTED),
                name="inventory_replacement_live",
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"order {self.order_id}: {self.quantity} of item {self.item_id} as a replacement, {self.state}"


class StockMovement(ShardedModel):
    """One change of ``on_hand``, kept for ever: their sum is the stock. Rows are only ever added."""

    id = ShardAutoField(primary_key=True)
    store_id = models.BigIntegerField()
    item_id = models.BigIntegerField()
    delta = models.DecimalField(max_digits=12, decimal_places=3)
    reason = models.CharField(max_length=40)
    order_id = models.BigIntegerField(null=True, blank=True)
    at = models.DateTimeField()

    sharding: ClassVar = ShardKey("store", field="store_id")
    decides_money_or_stock = True

    class Meta:
        indexes = [models.Index(fields=["store_id", "item_id", "at"], name="inventory_movement_history")]

    @override
    def __str__(self) -> str:
        return f"item {self.item_id}: {self.delta:+} {self.reason}"

    @override
    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("a stock movement is never changed; add one that corrects it")
        super().save(*args, **kwargs)


class FoundStat(ShardedModel):
    """How often orders asked for an item in one hour of the week, and how often it was there."""

    id = ShardAutoField(primary_key=True)
    store_id = models.BigIntegerField()
    item_id = models.BigIntegerField()
    hour_of_week = models.SmallIntegerField()
    """0 is Monday after midnight by the store's clock."""
    asked = models.PositiveIntegerField()
    found = models.PositiveIntegerField()
    partly = models.PositiveIntegerField()

    sharding: ClassVar = ShardKey("store", field="store_id")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["store_id", "item_id", "hour_of_week"], name="inventory_found_once_an_hour"
            ),
            models.CheckConstraint(
                condition=models.Q(hour_of_week__gte=0, hour_of_week__lt=domain.HOURS_OF_WEEK),
                name="inventory_found_hour",
            ),
            models.CheckConstraint(
                condition=models.Q(asked__gte=models.F("found") + models.F("partly")),
                name="inventory_found_at_most_asked",
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"item {self.item_id}, hour {self.hour_of_week}: {self.found} of {self.asked}"
