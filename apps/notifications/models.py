"""What customers are told, on their own shard. No row holds a word of a letter, or an address."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from typing_extensions import override

from apps.notifications.domain import FINAL, KINDS, MOST_COPIES, Status
from sharding import ShardAutoField, ShardedModel, ShardKey


class Notification(ShardedModel):
    """One thing to tell. ``facts`` are ids and times by which a composer finds what to say."""

    id = ShardAutoField(primary_key=True)
    customer_id = models.BigIntegerField()
    kind = models.CharField(max_length=40, choices=[(kind, kind) for kind in KINDS])
    key = models.CharField(max_length=80)
    facts = models.JSONField()
    status = models.CharField(max_length=10, choices=[(status.value, status.value) for status in Status])
    tries = models.PositiveSmallIntegerField(default=0)
    copies = models.PositiveSmallIntegerField(default=0)  # attempts after which the customer may have it
    reason = models.CharField(max_length=40, blank=True)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)  # when to look at it again; null: never
    sent_at = models.DateTimeField(null=True)

    sharding: ClassVar = ShardKey("customer", field="customer_id")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer_id", "key"], name="notifications_once_per_key"),
            models.CheckConstraint(
                condition=Q(status__in=[status.value for status in Status]), name="notifications_status_known"
            ),
            models.CheckConstraint(condition=Q(copies__lte=MOST_COPIES), name="notifications_twice_at_most"),
            models.CheckConstraint(
                condition=Q(status__in=sorted(FINAL), due_at__isnull=True)
                | ~Q(status__in=sorted(FINAL)) & Q(due_at__isnull=False),
                name="notifications_due_until_final",
            ),
            models.CheckConstraint(
                condition=~Q(status=Status.SENT.value) | Q(copies__gte=1, sent_at__isnull=False),
                name="notifications_sent_has_a_copy",
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="notifications_due"),
            models.Index(fields=["customer_id", "-id"], name="notifications_of_customer"),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.kind} {self.pk}: {self.status}"


class Mute(ShardedModel):
    """A kind of letter that a customer does not want."""

    id = ShardAutoField(primary_key=True)
    customer_id = models.BigIntegerField()
    kind = models.CharField(max_length=40)

    sharding: ClassVar = ShardKey("customer", field="customer_id")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["customer_id", "kind"], name="notifications_muted_once")]

    @override
    def __str__(self) -> str:
        return f"no {self.kind} for customer {self.customer_id}"


class RefusedAddress(ShardedModel):
    """A customer's address that takes no mail; holds for that address only (``address_hash`` is keyed)."""

    id = models.BigIntegerField(primary_key=True)
    address_hash = models.CharField(max_length=64)
    reason = models.CharField(max_length=40)
    since = models.DateTimeField()

    sharding: ClassVar = ShardKey("customer", field="id")

    class Meta:
        verbose_name_plural = "refused addresses"

    @override
    def __str__(self) -> str:
        return f"address of customer {self.pk}: {self.reason}"
