from typing import ClassVar

from django.db import models
from typing_extensions import override

from apps.slots import domain
from sharding import ShardAutoField, ShardedModel, ShardForeignKey, ShardKey


class DeliveryWindow(ShardedModel):
    id = ShardAutoField(primary_key=True)
    store_id = models.BigIntegerField()
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    kind = models.CharField(max_length=9, choices=[(kind, kind) for kind in domain.KINDS])
    capacity_minutes = models.PositiveIntegerField()
    held_minutes = models.PositiveIntegerField(default=0)
    cutoff_at = models.DateTimeField()
    fee_cents = models.PositiveIntegerField()

    sharding: ClassVar = ShardKey("store", field="store_id")
    decides_money_or_stock = True

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["store_id", "kind", "starts_at"], name="slots_window_once"),
            models.CheckConstraint(
                condition=models.Q(held_minutes__lte=models.F("capacity_minutes")), name="slots_window_held"
            ),
            models.CheckConstraint(condition=models.Q(ends_at__gt=models.F("starts_at")), name="slots_window_lasts"),
            models.CheckConstraint(condition=models.Q(kind__in=domain.KINDS), name="slots_window_kind"),
        ]
        indexes = [models.Index(fields=["store_id", "cutoff_at"], name="slots_window_open")]

    @override
    def __str__(self) -> str:
        return f"{self.kind} {self.starts_at:%Y-%m-%d %H:%M} UTC, {self.held_minutes}/{self.capacity_minutes} min"


class WindowHold(ShardedModel):
    """Minutes of a window that an order takes. ``held`` runs out at ``expires_at``; ``confirmed`` does not."""

    id = ShardAutoField(primary_key=True)
    store_id = models.BigIntegerField()
    window = ShardForeignKey(DeliveryWindow, on_delete=models.PROTECT, related_name="holds")
    order_id = models.BigIntegerField()
    minutes = models.PositiveIntegerField()
    state = models.CharField(max_length=9, choices=[(state, state) for state in domain.HOLD_STATES])
    expires_at = models.DateTimeField()

    sharding: ClassVar = ShardKey("store", field="store_id")
    decides_money_or_stock = True

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["store_id", "order_id"], name="slots_hold_once"),
            models.CheckConstraint(condition=models.Q(minutes__gt=0), name="slots_hold_of_something"),
            models.CheckConstraint(condition=models.Q(state__in=domain.HOLD_STATES), name="slots_hold_state"),
        ]
        indexes = [
            models.Index(fields=["expires_at", "id"], condition=models.Q(state="held"), name="slots_hold_expiry"),
        ]

    @override
    def __str__(self) -> str:
        return f"order {self.order_id}: {self.minutes} min, {self.state}"
