"""Batches live with their store. Only the planner's lease is global."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from typing_extensions import override

from apps.dispatch.domain import UNDER_WAY, BatchStatus, OfferStatus, StopState
from apps.dispatch.steering.models import Override as Override
from apps.dispatch.steering.models import ZoneHeat as ZoneHeat
from sharding import ShardAutoField, ShardedModel, ShardForeignKey, ShardKey


class Batch(ShardedModel):
    """What one shopper takes together from one store."""

    id = ShardAutoField(primary_key=True)
    store_id = models.BigIntegerField()
    zone_id = models.BigIntegerField()
    status = models.CharField(max_length=14)
    shopper_id = models.BigIntegerField(null=True)
    pay_cents = models.BigIntegerField()
    peak_cents = models.BigIntegerField(default=0, db_default=0)
    """The part of ``pay_cents`` that is peak pay."""
    currency = models.CharField(max_length=3)
    distance_m = models.PositiveIntegerField()
    why = models.JSONField(null=True)
    """``domain.reasons``; nothing rests on it."""
    created_at = models.DateTimeField(db_default=Now())
    acknowledged_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    sharding: ClassVar = ShardKey("store", field="store_id")
    decides_money_or_stock = True

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=[str(status) for status in BatchStatus]), name="dispatch_batch_status"
            ),
            models.CheckConstraint(
                condition=Q(status__in=[BatchStatus.OPEN, BatchStatus.OFFERED], shopper_id__isnull=True)
                | Q(status__in=[*UNDER_WAY, BatchStatus.COMPLETED], shopper_id__isnull=False)
                | Q(status=BatchStatus.CANCELED),
                name="dispatch_batch_shopper_fits_status",
            ),
            models.CheckConstraint(condition=Q(pay_cents__gt=0), name="dispatch_batch_pays"),
            models.CheckConstraint(
                condition=Q(peak_cents__gte=0, peak_cents__lt=F("pay_cents")), name="dispatch_batch_peak"
            ),
        ]
        indexes = [
            models.Index(fields=["store_id"], name="dispatch_open", condition=Q(status=BatchStatus.OPEN)),
            models.Index(
                fields=["acknowledged_at"], name="dispatch_acknowledged", condition=Q(status=BatchStatus.ACKNOWLEDGED)
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"batch {self.pk} ({self.status})"


class BatchStop(ShardedModel):
    """Picking one order, or handing it over. A dropped stop's order left the batch."""

    id = ShardAutoField(primary_key=True)
    batch = ShardForeignKey(Batch, on_delete=models.CASCADE, related_name="stops", db_index=False)
    store_id = models.BigIntegerField()
    sequence = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=4)
    store_order_id = models.BigIntegerField()
    order_id = models.BigIntegerField()
    state = models.CharField(max_length=8, default=StopState.PENDING)

    sharding: ClassVar = ShardKey("store", field="store_id")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["store_id", "batch", "sequence"], name="dispatch_stop_sequence"),
            models.UniqueConstraint(
                fields=["store_id", "store_order_id", "kind"],
                condition=~Q(state=StopState.DROPPED),
                name="dispatch_order_in_one_batch",
            ),
            models.CheckConstraint(condition=Q(kind__in=["pick", "drop"]), name="dispatch_stop_kind"),
            models.CheckConstraint(
                condition=Q(state__in=[str(state) for state in StopState]), name="dispatch_stop_state"
            ),
        ]
        indexes = [
            models.Index(fields=["batch"], name="dispatch_stop_of_batch"),
            models.Index(fields=["store_id", "order_id"], name="dispatch_stop_of_order"),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.kind} order {self.order_id}"


class Offer(ShardedModel):
    """One shopper asked for one batch, until ``expires_at``."""

    id = ShardAutoField(primary_key=True)
    batch = ShardForeignKey(Batch, on_delete=models.CASCADE, related_name="offers", db_index=False)
    store_id = models.BigIntegerField()
    shopper_id = models.BigIntegerField()
    status = models.CharField(max_length=10, default=OfferStatus.SENT)
    distance_m = models.PositiveIntegerField()
    sent_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    sharding: ClassVar = ShardKey("store", field="store_id")
    decides_money_or_stock = True

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["store_id", "batch"], condition=Q(status=OfferStatus.SENT), name="dispatch_one_live_offer"
            ),
            models.CheckConstraint(
                condition=Q(status__in=[str(status) for status in OfferStatus]), name="dispatch_offer_status"
            ),
        ]
        indexes = [
            models.Index(fields=["batch", "sent_at"], name="dispatch_offer_of_batch"),
            models.Index(fields=["expires_at"], name="dispatch_expiring", condition=Q(status=OfferStatus.SENT)),
        ]

    @override
    def __str__(self) -> str:
        return f"batch {self.batch_id} to shopper {self.shopper_id}: {self.status}"


class StoreFence(ShardedModel):
    """The last planner's lease that made offers of the store: none with a smaller ``token`` makes any more."""

    store_id = models.BigIntegerField(primary_key=True)
    token = models.BigIntegerField()

    sharding: ClassVar = ShardKey("store", field="store_id")
    decides_money_or_stock = True

    @override
    def __str__(self) -> str:
        return f"store {self.store_id}: {self.token}"


class PlannerLease(models.Model):
    """Which planner has a zone for itself, and until when; without ``holder`` it was given back.

    ``token`` grows with each lease, ``services.leasing`` says what for.
    """

    zone_id = models.BigIntegerField(primary_key=True)
    holder = models.UUIDField(null=True)
    token = models.BigIntegerField(db_default=0)
    expires_at = models.DateTimeField()

    @override
    def __str__(self) -> str:
        return f"zone {self.zone_id} until {self.expires_at}"


class EtaModel(models.Model):
    """What finished orders taught of how wrong ETAs are; the newest is used, the others stay for comparison.

    Global: one for all stores. ``content`` is ``etas.stored``'s, ``calibration`` the figures by stage on orders that
    the model had not seen.
    """

    id = models.BigAutoField(primary_key=True)
    trained_at = models.DateTimeField()
    orders = models.PositiveIntegerField()
    content = models.JSONField()
    calibration = models.JSONField()

    @override
    def __str__(self) -> str:
        return f"ETA model {self.pk} of {self.trained_at:%Y-%m-%d %H:%M}"
