"""Tables that every database has, so that they change in one transaction with the rows beside them."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models.functions import Now
from typing_extensions import override

from sharding import EveryDatabase


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


class IdempotencyKey(models.Model):
    """The first answer to a request that may be sent again; see ``apps.common.idempotency``."""

    owner = models.CharField(max_length=40)
    key = models.CharField(max_length=80)
    fingerprint = models.CharField(max_length=64)
    answer = models.JSONField()
    created_at = models.DateTimeField(db_default=Now())

    sharding: ClassVar = EveryDatabase()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "key"], name="common_idempotency_once_per_owner")]

    @override
    def __str__(self) -> str:
        return f"{self.owner} {self.key}"
