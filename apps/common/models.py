"""Tables that change in one transaction with the rows beside them, in every database or with every bucket."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from typing_extensions import override

from sharding import BUCKETS, EveryDatabase, ShardAutoField, ShardedModel, ShardKey


class OutboxMessage(models.Model):
    """An event that happened in this database and is still to be told. See ``apps.common.outbox``."""

    message_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=80)
    payload = models.JSONField()
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(db_default=Now())
    created_at = models.DateTimeField(db_default=Now())

    sharding: ClassVar = EveryDatabase()

    class Meta:
        indexes = [models.Index(fields=["due_at", "id"], name="common_outbox_due")]

    @override
    def __str__(self) -> str:
        return f"{self.name} #{self.pk}"


class InboxMessage(models.Model):
    """A message that one consumer has applied to this database; see ``apps.common.inbox``."""

    message_id = models.UUIDField()
    consumer = models.CharField(max_length=80)
    received_at = models.DateTimeField(db_default=Now())

    sharding: ClassVar = EveryDatabase()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["message_id", "consumer"], name="common_inbox_once_per_consumer")
        ]

    @override
    def __str__(self) -> str:
        return f"{self.message_id} by {self.consumer}"


class QuarantinedMessage(models.Model):
    """A message that failed as often as we are willing to try; somebody has to look at it."""

    message_id = models.UUIDField(unique=True)
    name = models.CharField(max_length=80)
    payload = models.JSONField()
    attempts = models.PositiveSmallIntegerField()
    reason = models.CharField(max_length=200)
    quarantined_at = models.DateTimeField(db_default=Now())

    sharding: ClassVar = EveryDatabase()

    @override
    def __str__(self) -> str:
        return f"{self.name} {self.message_id}: {self.reason}"


class KeptAnswer(ShardedModel):
    """The first answer to a request that may be sent again; see ``apps.common.idempotency``.

    A table for each keyspace, and in it a row with the bucket whose rows the request changed: it moves with them.
    """

    id = ShardAutoField(primary_key=True)
    place = models.IntegerField()
    """The bucket; 10,000 for bucket 0, as a key is more than nothing."""
    owner = models.BigIntegerField()
    """The user who sent it."""
    key = models.CharField(max_length=80)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    content_type = models.CharField(max_length=80)
    body = models.BinaryField()
    """Compressed and encrypted: answers say what people are called."""
    created_at = models.DateTimeField()

    decides_money_or_stock = True

    class Meta:
        abstract = True
        constraints = [
            models.UniqueConstraint(fields=["place", "owner", "key"], name="common_%(class)s_once"),
            models.CheckConstraint(condition=Q(place__gte=1, place__lte=BUCKETS), name="common_%(class)s_place"),
            models.CheckConstraint(condition=Q(status__gte=200, status__lt=500), name="common_%(class)s_status"),
        ]
        indexes = [models.Index(fields=["created_at"], name="common_%(class)s_age")]

    @override
    def __str__(self) -> str:
        return f"{self.status} for {self.owner} {self.key}"


class StoreAnswer(KeptAnswer):
    """To requests that change a store's rows: its orders, batches and offers."""

    sharding: ClassVar = ShardKey("store", field="place")


class ShopperAnswer(KeptAnswer):
    """To requests that change a shopper's own rows."""

    sharding: ClassVar = ShardKey("shopper", field="place")
