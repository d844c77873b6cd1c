"""The library's own tables in the directory."""

from django.db import models
from django.db.models.functions import Now
from typing_extensions import override

from sharding.ids import BUCKETS


class MapVersion(models.Model):
    """One version of the shard map, in the directory. The newest counts; rows are never changed."""

    epoch = models.BigIntegerField(primary_key=True)
    document = models.JSONField()
    reason = models.TextField(help_text="What the map was changed for.")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ("-epoch",)
        constraints = (models.CheckConstraint(condition=models.Q(epoch__gt=0), name="sharding_map_epoch"),)

    @override
    def __str__(self) -> str:
        return f"map {self.epoch}"


class Move(models.Model):
    """One range of buckets on its way from one database to another; see ``sharding.moves``."""

    class Phase(models.TextChoices):
        MOVING = "moving"
        KEPT = "kept"
        """Moved; the old copy is kept up to date, so that the move can be undone."""
        UNDOING = "undoing"
        """Given up before the switch."""
        RETURNING = "returning"
        """Given up after the switch: switched back."""
        CLEANING = "cleaning"
        DONE = "done"
        UNDONE = "undone"

    keyspace = models.TextField()
    first = models.IntegerField()
    last = models.IntegerField()
    source = models.TextField()
    target = models.TextField()
    tag = models.CharField(max_length=8, unique=True, help_text="In the names of publications, slots, subscriptions.")
    phase = models.CharField(max_length=9, choices=Phase, default=Phase.MOVING)
    step = models.TextField(help_text="What is done next, or was begun and may have to be done again.")
    turn = models.BigIntegerField(default=0, help_text="Counts who took the move on; only the last one may go on.")
    runner = models.TextField(default="", help_text="Who took it on last.")
    note = models.TextField(default="", help_text="What it waits for, or why it stopped.")
    rows = models.JSONField(default=dict, help_text="Estimated rows by table.")
    started_at = models.DateTimeField(db_default=Now())
    stepped_at = models.DateTimeField(db_default=Now(), help_text="Since when it is at this step.")
    changed_at = models.DateTimeField(db_default=Now())
    switched_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("id",)
        constraints = (
            models.CheckConstraint(
                condition=models.Q(first__gte=0, last__gte=models.F("first"), last__lt=BUCKETS),
                name="sharding_move_range",
            ),
            models.CheckConstraint(condition=~models.Q(source=models.F("target")), name="sharding_move_elsewhere"),
        )

    @override
    def __str__(self) -> str:
        return f"move {self.pk} of {self.keyspace} {self.first}-{self.last} from {self.source} to {self.target}"

    @property
    def is_over(self) -> bool:
        return self.phase in (self.Phase.DONE, self.Phase.UNDONE)

    @property
    def buckets(self) -> int:
        return self.last - self.first + 1
