from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from typing_extensions import override

from apps.common.geo import Point
from apps.shoppers import domain
from sharding import ShardAutoField, ShardedModel, ShardForeignKey, ShardKey


def on_shift(now: datetime) -> Q:
    """Shoppers whose shift is not over."""
    return Q(shift_ends_at__isnull=True) | Q(shift_ends_at__gt=now)


class Shopper(ShardedModel):
    """Somebody who picks and delivers. ``id`` is their user's; the name is sealed with their own data key."""

    id = models.BigIntegerField(primary_key=True)
    name_encrypted = models.BinaryField()
    data_key = models.BinaryField()
    zone_id = models.BigIntegerField()
    vehicle = models.CharField(max_length=8, default="car")
    state = models.CharField(max_length=8, default="active")
    is_online = models.BooleanField(default=False)
    online_since = models.DateTimeField(null=True)
    turn_at = models.DateTimeField(null=True)
    """When they last had a turn: were offered a batch, or were done with one."""
    shift_ends_at = models.DateTimeField(null=True)
    last_lat = models.FloatField(null=True)
    last_lng = models.FloatField(null=True)
    last_seen_at = models.DateTimeField(null=True)
    registered_at = models.DateTimeField(db_default=Now())
    pace = models.FloatField(db_default=1.0)
    """``domain.pace`` of the ``Pick`` rows."""
    rating = models.FloatField(db_default=domain.USUAL_RATING)
    """``domain.rating`` of the ``Rating`` rows that count, and ``ratings`` how many of them that took in."""
    ratings = models.SmallIntegerField(db_default=0)

    sharding: ClassVar = ShardKey("shopper", field="id")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=["active", "paused"]), name="shoppers_shopper_state"),
            models.CheckConstraint(
                condition=Q(last_seen_at__isnull=True) | Q(last_lat__isnull=False, last_lng__isnull=False),
                name="shoppers_shopper_seen_somewhere",
            ),
            models.CheckConstraint(
                condition=Q(last_lat__isnull=True) | Q(last_lat__range=(-90, 90), last_lng__range=(-180, 180)),
                name="shoppers_shopper_on_earth",
            ),
            models.CheckConstraint(
                condition=Q(shift_ends_at__isnull=True) | Q(is_online=True, shift_ends_at__gt=F("online_since")),
                name="shoppers_shopper_shift",
            ),
            models.CheckConstraint(condition=Q(pace__range=domain.PACES), name="shoppers_shopper_pace"),
            models.CheckConstraint(
                condition=Q(rating__range=domain.STARS, ratings__range=(0, domain.RECENT_RATINGS)),
                name="shoppers_shopper_rating",
            ),
        ]
        indexes = [
            models.Index(fields=["zone_id", "last_seen_at"], name="shoppers_online", condition=Q(is_online=True)),
        ]

    @override
    def __str__(self) -> str:
        return f"shopper {self.pk}"

    @property
    def last_seen(self) -> tuple[Point, datetime] | None:
        """The stored position, coarse and up to a minute old, and when that was."""
        if self.last_seen_at is None or self.last_lat is None or self.last_lng is None:
            return None
        return Point(self.last_lat, self.last_lng), self.last_seen_at


class Certification(ShardedModel):
    """That a shopper may carry something not everybody may, from day to day inclusive (UTC); ``checked_by`` saw it."""

    id = ShardAutoField(primary_key=True)
    shopper = ShardForeignKey(Shopper, on_delete=models.CASCADE, related_name="certifications", db_index=False)
    kind = models.CharField(max_length=16)
    valid_from = models.DateField()
    valid_until = models.DateField()
    checked_by = models.BigIntegerField()
    checked_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True)

    sharding: ClassVar = ShardKey("shopper", field="shopper")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=list(domain.CERTIFICATES)), name="shoppers_certification_kind"),
            models.CheckConstraint(condition=Q(valid_until__gte=F("valid_from")), name="shoppers_certification_period"),
            models.UniqueConstraint(
                fields=["shopper", "kind", "valid_from"],
                condition=Q(withdrawn_at__isnull=True),
                name="shoppers_certification_once",
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.kind} certificate of shopper {self.shopper_id} until {self.valid_until}"


class Pick(ShardedModel):
    """How long a shopper took in the store for a batch, and how long somebody of pace 1 takes. Written once."""

    id = ShardAutoField(primary_key=True)
    shopper = ShardForeignKey(Shopper, on_delete=models.CASCADE, related_name="picks", db_index=False)
    batch_id = models.BigIntegerField()
    minutes = models.FloatField()
    expected_minutes = models.FloatField()
    picked_at = models.DateTimeField()

    sharding: ClassVar = ShardKey("shopper", field="shopper")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["shopper", "batch_id"], name="shoppers_pick_once"),
            models.CheckConstraint(
                condition=Q(minutes__gt=0, minutes__lt=1440, expected_minutes__gt=0), name="shoppers_pick_took_time"
            ),
        ]
        indexes = [models.Index(fields=["shopper", "-picked_at"], name="shoppers_pick_recent")]

    @override
    def __str__(self) -> str:
        return f"batch {self.batch_id} in {self.minutes:.0f} of {self.expected_minutes:.0f} minutes"


class Rating(ShardedModel):
    """What a customer thought of a delivery: a copy; ``version`` counts the customer's changes to it."""

    id = ShardAutoField(primary_key=True)
    shopper = ShardForeignKey(Shopper, on_delete=models.CASCADE, related_name="rated", db_index=False)
    order_id = models.BigIntegerField()
    stars = models.SmallIntegerField()
    counts = models.BooleanField()
    """False where it says something about others than the shopper."""
    version = models.IntegerField()
    delivered_at = models.DateTimeField()

    sharding: ClassVar = ShardKey("shopper", field="shopper")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["shopper", "order_id"], name="shoppers_rating_once"),
            models.CheckConstraint(condition=Q(stars__range=domain.STARS), name="shoppers_rating_stars"),
        ]
        indexes = [models.Index(fields=["shopper", "-delivered_at"], name="shoppers_rating_recent")]

    @override
    def __str__(self) -> str:
        return f"{self.stars} stars for order {self.order_id}"


def valid(now: datetime) -> Q:
    """Certificates that count today."""
    return Q(withdrawn_at__isnull=True, valid_from__lte=now.date(), valid_until__gte=now.date())


class Assignment(ShardedModel):
    """What the shopper's shard knows of a batch: that nobody else may have this shopper meanwhile."""

    id = ShardAutoField(primary_key=True)
    shopper = ShardForeignKey(Shopper, on_delete=models.PROTECT, related_name="assignments", db_index=False)
    batch_id = models.BigIntegerField()
    store_id = models.BigIntegerField()
    offer_id = models.BigIntegerField(null=True)
    state = models.CharField(max_length=10)
    expires_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    sharding: ClassVar = ShardKey("shopper", field="shopper")
    decides_money_or_stock = True

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["shopper"], condition=Q(state__in=domain.LIVE), name="shoppers_one_live_assignment"
            ),
            models.CheckConstraint(
                condition=Q(state__in=[str(state) for state in domain.AssignmentState]),
                name="shoppers_assignment_state",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=domain.EXPIRING) | Q(expires_at__isnull=False),
                name="shoppers_assignment_expires",
            ),
        ]
        indexes = [
            models.Index(fields=["shopper", "batch_id"], name="shoppers_assignment_batch"),
            models.Index(fields=["expires_at"], name="shoppers_expiring", condition=Q(state__in=domain.EXPIRING)),
        ]

    @override
    def __str__(self) -> str:
        return f"batch {self.batch_id} for shopper {self.shopper_id}: {self.state}"


class Earning(ShardedModel):
    """One line of a shopper's ledger: written once, never changed. Pay has no order; a lowered tip is below zero.

    ``number`` tells lines of one kind apart: the raises and lowerings of a tip, the offers under which work was done.
    """

    id = ShardAutoField(primary_key=True)
    shopper = ShardForeignKey(Shopper, on_delete=models.PROTECT, related_name="earnings", db_index=False)
    batch_id = models.BigIntegerField()
    order_id = models.BigIntegerField(null=True)
    kind = models.CharField(max_length=12)
    number = models.BigIntegerField(default=0, db_default=0)
    amount_cents = models.BigIntegerField()
    currency = models.CharField(max_length=3, default="USD")
    earned_at = models.DateTimeField()

    sharding: ClassVar = ShardKey("shopper", field="shopper")
    decides_money_or_stock = True

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["shopper", "batch_id", "order_id", "kind", "number"],
                nulls_distinct=False,
                name="shoppers_earning_numbered_once",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["batch_pay", "peak_pay", "work_pay"], order_id__isnull=True)
                | Q(kind__in=["tip", "tip_lowered"], order_id__isnull=False),
                name="shoppers_earning_known_kind",
            ),
            models.CheckConstraint(
                condition=Q(kind="tip_lowered", amount_cents__lt=0) | ~Q(kind="tip_lowered") & Q(amount_cents__gt=0),
                name="shoppers_earning_sign",
            ),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.kind} of batch {self.batch_id} for shopper {self.shopper_id}"
