"""The base class of sharded models, and the library's own tables in the directory."""

from typing import Any, ClassVar

from django.db import models
from django.db.models.functions import Now
from typing_extensions import override

from sharding import colocation, keys
from sharding.ids import BUCKETS
from sharding.keys import ShardKey
from sharding.querysets import ShardedQuerySet

ShardedManager = models.Manager.from_queryset(ShardedQuerySet, "ShardedManager")


class ShardedModel(models.Model):
    """A model whose rows are split over the shards of a keyspace, with queries that find their shard.

    A subclass says ``sharding = ShardKey(…)``, uses a ``ShardAutoField`` as its primary key unless it is a root
    table, and builds managers of its own from ``ShardedQuerySet``. Put this class first among several bases.
    """

    sharding: ClassVar[ShardKey]
    decides_money_or_stock: ClassVar[bool] = False
    """True: its rows are never read from a replica, however little that one lags (``sharding.replica_reads``)."""

    objects = ShardedManager()
    routed = ShardedManager()
    """What Django uses for related rows and ``refresh_from_db``, also where ``objects`` is replaced."""

    class Meta:
        abstract = True
        base_manager_name = "routed"

    @override
    def save_base(self, *args: Any, **kwargs: Any) -> None:
        """As Django's, with subqueries among the row's values checked for looking at other shards."""
        colocation.check_row(self, kwargs.get("using") or keys.alias_of_row(self))
        super().save_base(*args, **kwargs)

    save_base.alters_data = True  # type: ignore[attr-defined]

    @override
    def refresh_from_db(self, using: str | None = None, fields: Any = None, from_queryset: Any = None) -> None:
        """As Django's, from where the row lives now: its bucket may have moved since it was read."""
        if using is None and from_queryset is None:
            using = keys.alias_of_row(self)
        super().refresh_from_db(using, fields, from_queryset)

    def _get_next_or_previous_by_FIELD(self, field: Any, is_next: bool, **kwargs: Any) -> Any:  # noqa: N802  Django's
        """Behind ``get_next_by_…``: Django would look on this row's shard alone, so the rest has to name that shard."""
        read_from = self._state.db
        self._state.db = type(self)._default_manager.filter(**kwargs).db
        try:
            return super()._get_next_or_previous_by_FIELD(field, is_next, **kwargs)  # type: ignore[misc]
        finally:
            self._state.db = read_from


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
