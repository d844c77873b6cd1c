"""Windows and what orders hold of them, on their store's shard; the plan they are made from, in the global database."""

import calendar
from dataclasses import fields, replace
from typing import ClassVar

from django.core.exceptions import ValidationError
from django.db import models
from typing_extensions import override

from apps.slots import domain
from apps.slots.errors import WindowInvalid
from apps.slots.types import Plan, Shift
from sharding import ShardAutoField, ShardedModel, ShardForeignKey, ShardKey

_USUAL = Plan()


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
    withdrawn_at = models.DateTimeField(null=True)  # the store is closed then, as was found out after it was opened

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
        indexes = [
            models.Index(fields=["store_id", "cutoff_at"], name="slots_window_open"),
            models.Index(
                fields=["ends_at"], condition=models.Q(withdrawn_at__isnull=False), name="slots_window_withdrawn"
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.kind} {self.starts_at:%Y-%m-%d %H:%M} UTC, {self.held_minutes}/{self.capacity_minutes} min"


class WindowHold(ShardedModel):
    """Minutes of a window that an order takes. ``held`` runs out at ``expires_at``; ``confirmed`` does not.

    ``version`` counts the windows an order has had, or tried to have: while it moves, it holds two.
    """

    id = ShardAutoField(primary_key=True)
    store_id = models.BigIntegerField()
    window = ShardForeignKey(DeliveryWindow, on_delete=models.PROTECT, related_name="holds")
    order_id = models.BigIntegerField()
    version = models.IntegerField(default=1, db_default=1)
    minutes = models.PositiveIntegerField()
    state = models.CharField(max_length=9, choices=[(state, state) for state in domain.HOLD_STATES])
    expires_at = models.DateTimeField()

    sharding: ClassVar = ShardKey("store", field="store_id")
    decides_money_or_stock = True

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["store_id", "order_id", "version"], name="slots_hold_once_per_version"),
            models.CheckConstraint(condition=models.Q(minutes__gt=0), name="slots_hold_of_something"),
            models.CheckConstraint(condition=models.Q(state__in=domain.HOLD_STATES), name="slots_hold_state"),
        ]
        indexes = [
            models.Index(fields=["expires_at", "id"], condition=models.Q(state="held"), name="slots_hold_expiry"),
        ]

    @override
    def __str__(self) -> str:
        return f"order {self.order_id}: {self.minutes} min, {self.state}"


class WindowPlan(models.Model):
    """How one store's days are cut into windows. In the global database, beside the store's hours."""

    store_id = models.BigIntegerField(unique=True)
    length_minutes = models.PositiveIntegerField("length, in minutes", default=_USUAL.length_minutes)
    lead_minutes = models.PositiveIntegerField("orders close before the start, in minutes", default=_USUAL.lead_minutes)
    fee_cents = models.PositiveIntegerField("fee, in cents", default=_USUAL.fee_cents)
    immediate_length_minutes = models.PositiveIntegerField(
        "immediate: delivered within, in minutes",
        default=_USUAL.immediate_length_minutes,
        help_text="0: no immediate delivery.",
    )
    immediate_fee_cents = models.PositiveIntegerField("immediate: fee, in cents", default=_USUAL.immediate_fee_cents)
    immediate_percent = models.PositiveSmallIntegerField(
        "immediate: share of the shoppers' time, in percent", default=_USUAL.immediate_percent
    )
    priority_length_minutes = models.PositiveIntegerField(
        "priority: delivered within, in minutes",
        default=_USUAL.priority_length_minutes,
        help_text="0: no priority delivery.",
    )
    priority_every_minutes = models.PositiveIntegerField(
        "priority: a new window every so many minutes", default=_USUAL.priority_every_minutes
    )
    priority_fee_cents = models.PositiveIntegerField("priority: fee, in cents", default=_USUAL.priority_fee_cents)
    priority_percent = models.PositiveSmallIntegerField(
        "priority: share of the shoppers' time, in percent",
        default=_USUAL.priority_percent,
        help_text="What the two shares leave goes to scheduled orders.",
    )
    shoppers = models.PositiveIntegerField(
        "shoppers expected", default=_USUAL.shoppers, help_text="In every hour that no shift below names."
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(length_minutes__gte=15, priority_every_minutes__gte=15), name="slots_plan_lasts"
            ),
            models.CheckConstraint(
                condition=models.Q(immediate_percent__lte=100 - models.F("priority_percent")),
                name="slots_plan_shares",
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"windows of store {self.store_id}"

    @override
    def clean(self) -> None:
        try:
            domain.checked_plan(self._plan(), days=domain.DAYS_AHEAD)
        except WindowInvalid as refusal:
            raise ValidationError(str(refusal)) from refusal

    def plan(self) -> Plan:
        """1 query, for the shifts."""
        shifts = self.shifts.order_by("pk").values("weekday", "from_hour", "to_hour", "shoppers")
        return replace(self._plan(), shifts=tuple(Shift(**shift) for shift in shifts))

    def _plan(self) -> Plan:
        return Plan(**{field.name: getattr(self, field.name) for field in fields(Plan) if field.name != "shifts"})


class ShopperShift(models.Model):
    """Shoppers expected at a store every week; shifts of one hour add up."""

    plan_of = models.ForeignKey(WindowPlan, on_delete=models.CASCADE, related_name="shifts")
    weekday = models.PositiveSmallIntegerField(choices=list(enumerate(calendar.day_name)))
    from_hour = models.PositiveSmallIntegerField(help_text="0 to 23, by the store's clock.")
    to_hour = models.PositiveSmallIntegerField(help_text="Up to 24, which is midnight.")
    shoppers = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(weekday__lte=6), name="slots_shift_weekday"),
            models.CheckConstraint(
                condition=models.Q(to_hour__gt=models.F("from_hour"), to_hour__lte=24), name="slots_shift_hours"
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"{calendar.day_abbr[self.weekday]} {self.from_hour}-{self.to_hour}: {self.shoppers}"
