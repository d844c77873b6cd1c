"""Overrides live with the store whose orders they are about, so that they are decided in one transaction with them.

How short of shoppers a zone is, is global, like the zone.
"""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from typing_extensions import override

from apps.dispatch.steering.domain import KEPT_FROM_PLANS, Outcome, OverrideKind
from sharding import ShardAutoField, ShardedModel, ShardKey


class Override(ShardedModel):
    """An operator's word about one order; those of ``OF_A_BATCH`` are one for each order of ``batch_id``.

    Stands until ``ended_at``, ``expires_at`` at the latest. Ended ones are the history and stay.
    """

    id = ShardAutoField(primary_key=True)
    store_id = models.BigIntegerField()
    kind = models.CharField(max_length=10)
    store_order_id = models.BigIntegerField()
    order_id = models.BigIntegerField()
    shopper_id = models.BigIntegerField(null=True)
    batch_id = models.BigIntegerField(null=True)
    reason = models.CharField(max_length=300)
    operator_id = models.BigIntegerField()
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    ended_by = models.BigIntegerField(null=True)
    outcome = models.CharField(max_length=8, blank=True, default="")

    sharding: ClassVar = ShardKey("store", field="store_id")
    decides_money_or_stock = True

    class Meta:
        permissions = [("steer_dispatch", "Can decide instead of the planner")]
        constraints = [
            models.UniqueConstraint(
                fields=["store_id", "store_order_id"],
                condition=Q(kind__in=[str(kind) for kind in KEPT_FROM_PLANS], ended_at__isnull=True),
                name="dispatch_one_kept_from_plans",
            ),
            models.UniqueConstraint(
                fields=["store_id", "store_order_id", "kind", "shopper_id"],
                condition=Q(ended_at__isnull=True),
                nulls_distinct=False,
                name="dispatch_one_such_override",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=[str(kind) for kind in OverrideKind]), name="dispatch_override_kind"
            ),
            models.CheckConstraint(
                condition=Q(outcome="", ended_at__isnull=True)
                | Q(outcome__in=[str(outcome) for outcome in Outcome], ended_at__isnull=False),
                name="dispatch_override_outcome",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=[OverrideKind.KEEP_BACK, OverrideKind.PIN], shopper_id__isnull=True)
                | Q(
                    kind__in=[str(kind) for kind in OverrideKind if kind not in ("keep_back", "pin")],
                    shopper_id__isnull=False,
                ),
                name="dispatch_override_shopper",
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="dispatch_override_has_reason"),
        ]
        indexes = [
            models.Index(fields=["store_id"], name="dispatch_override_stands", condition=Q(ended_at__isnull=True)),
            models.Index(fields=["store_id", "store_order_id"], name="dispatch_override_of_order"),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.kind} of order {self.order_id} until {self.expires_at}"


class ZoneHeat(models.Model):
    """How short of shoppers each cell of a zone was when it was last weighed; ``cells`` is ``peaks.to_json``'s."""

    zone_id = models.BigIntegerField(primary_key=True)
    weighed_at = models.DateTimeField()
    cells = models.JSONField()

    @override
    def __str__(self) -> str:
        return f"zone {self.zone_id} at {self.weighed_at}"
