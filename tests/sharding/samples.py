"""Tables with a column of every kind, on three shards and, beside them, on one database with all of their rows.

The tables are made here and not by migrations: no other test needs them.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib.postgres.fields import IntegerRangeField
from django.db import connections, models
from django.db.backends.postgresql.psycopg_any import NumericRange
from psycopg import sql

import sharding
from sharding import ShardAutoField, ShardedModel, ShardForeignKey, ShardKey, ids, topology
from sharding.topology import Keyspace, Ranges

SHARDS = ("samples_0", "samples_1", "samples_2")
TOGETHER = "samples_all"
DATABASES = (*SHARDS, TOGETHER)
RANGES: Ranges = (
    (0, 1999, "samples_0"),
    (2000, 4999, "samples_1"),
    (5000, 6999, "samples_0"),
    (7000, 9999, "samples_2"),
)
COPIES = ((0, 1500, "samples_2"), (2500, 3200, "samples_0"), (9000, 9999, "samples_1"))
"""Where rows are in the mixed state that the map does not give there."""

OWNERS = (3, 7, 1_007, 2_500, 3_100, 4_999, 5_007, 7_777, 9_999, 10_007, 12_500, 19_999)
BERLIN = ZoneInfo("Europe/Berlin")


class Cents:
    def __init__(self, cents: int) -> None:
        self.cents = cents

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cents) and self.cents == other.cents

    def __hash__(self) -> int:
        return hash(self.cents)

    def __repr__(self) -> str:
        return f"Cents({self.cents})"


class CentsField(models.BigIntegerField):
    """A field as projects write them: what it gives cannot even be compared."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return None if value is None else Cents(int(value))

    def get_prep_value(self, value: Any) -> Any:
        return value.cents if isinstance(value, Cents) else super().get_prep_value(value)


class Owner(ShardedModel):
    sharding = ShardKey("customer", field="id")

    id = models.BigIntegerField(primary_key=True)
    name = models.CharField(max_length=50)
    rank = models.IntegerField(null=True)

    class Meta:
        app_label = "shop"
        managed = False

    def __str__(self) -> str:
        return self.name


class Sample(ShardedModel):
    sharding = ShardKey("customer", field="owner")

    id = ShardAutoField()
    owner = ShardForeignKey(Owner, models.CASCADE, related_name="samples")
    like = ShardForeignKey("self", models.SET_NULL, null=True, related_name="liked_by")
    kind = models.CharField(max_length=20)
    code = models.CharField(max_length=20, db_collation="C")
    small = models.SmallIntegerField(null=True)
    number = models.IntegerField()
    big = models.BigIntegerField(null=True)
    price = models.DecimalField(max_digits=12, decimal_places=3, null=True)
    weight = models.FloatField(null=True)
    is_good = models.BooleanField(null=True)
    day = models.DateField(null=True)
    at = models.DateTimeField(null=True)
    clock = models.TimeField(null=True)
    took = models.DurationField(null=True)
    uuid = models.UUIDField(null=True)
    data = models.JSONField(null=True)
    span = IntegerRangeField(null=True)
    blob = models.BinaryField(null=True)
    address = models.GenericIPAddressField(null=True)
    cents = CentsField(null=True)

    class Meta:
        app_label = "shop"
        managed = False

    def __str__(self) -> str:
        return self.kind


class Detail(ShardedModel):
    sharding = ShardKey("customer", field="owner_id")

    id = ShardAutoField()
    owner_id = models.BigIntegerField()
    sample = ShardForeignKey(Sample, models.CASCADE, related_name="details")
    amount = models.DecimalField(max_digits=8, decimal_places=2, null=True)
    part = models.IntegerField()

    class Meta:
        app_label = "shop"
        managed = False
        ordering = ["part", "id"]

    def __str__(self) -> str:
        return str(self.part)


MODELS: tuple[type[ShardedModel], ...] = (Owner, Sample, Detail)
TEXTS = ("a", "b", "B", "a b", "ä", "Z", "z", "€", "\U0001f34e", "_", "-b")


def rows(seed: int = 1) -> list[list[Any]]:
    """Rows of each model, the same for the same seed."""
    rng = random.Random(seed)  # noqa: S311
    owners = [Owner(id=n, name=f"n{n % 3}", rank=None if n % 5 == 0 else n % 4) for n in OWNERS]
    samples: list[Any] = []
    details: list[Any] = []
    for owner in owners:
        own: list[Any] = []
        for n in range(rng.randint(1, 7)):
            own.append(_sample(rng, owner.id, n, rng.choice(own).id if own and rng.random() < 0.5 else None))
        for sample in own:
            for n in range(rng.randint(0, 3)):
                amount = None if rng.random() < 0.2 else Decimal(rng.randint(-5000, 9000)).scaleb(-2)
                details.append(
                    Detail(
                        id=_id(rng, owner.id, len(details)),
                        owner_id=owner.id,
                        sample_id=sample.id,
                        amount=amount,
                        part=n % 2,
                    )
                )
        samples += own
    return [owners, samples, details]


def _id(rng: random.Random, owner_id: int, n: int) -> int:
    """Ids that do not grow with the bucket, nor in the order of the rows."""
    return rng.randrange(1 << 20) << ids.TIME_SHIFT | (owner_id % ids.BUCKETS) << ids.BUCKET_SHIFT | n % 256


def _sample(rng: random.Random, owner_id: int, n: int, like_id: int | None) -> Sample:
    def sometimes(value: Any) -> Any:
        return None if rng.random() < 0.25 else value

    return Sample(
        id=_id(rng, owner_id, n),
        owner_id=owner_id,
        like_id=like_id,
        kind=rng.choice(TEXTS[:4]),
        code=rng.choice(TEXTS),
        small=sometimes(rng.randint(-3, 3)),
        number=rng.randint(-4, 4),
        big=sometimes(rng.choice([2**62, -(2**62), 5, 6, 7])),
        price=sometimes(Decimal(rng.choice([0, 1000, 1001, -333, 98765, 123456789])).scaleb(-3)),
        weight=sometimes(rng.choice([0.0, -0.0, 0.1, 1e300, -2.5, float("nan"), float("inf")])),
        is_good=sometimes(rng.random() < 0.5),
        day=sometimes(date(2025, rng.randint(1, 3), rng.randint(1, 4))),
        # Two of these are one hour of the clocks in Berlin.
        at=sometimes(datetime(2025, 10, 26, rng.randint(0, 3), rng.choice([0, 30]), tzinfo=UTC)),
        clock=sometimes(time(rng.randint(0, 23), 30)),
        took=sometimes(timedelta(hours=rng.randint(-30, 30))),
        uuid=sometimes(UUID(int=rng.randrange(5) << 120)),
        data=sometimes({"n": rng.randint(0, 3), "tags": ["x"]}),
        span=sometimes(NumericRange(rng.randint(0, 3), rng.randint(4, 6))),
        blob=sometimes(bytes([rng.randrange(256)])),
        address=sometimes(f"10.0.0.{rng.randint(1, 3)}"),
        cents=sometimes(Cents(rng.randint(0, 5))),
    )


@contextmanager
def opened(*, copies: tuple[tuple[int, int, str], ...] = (), time_zone: str | None = None) -> Iterator[Keyspace]:
    """The databases, filled; keyspace ``customer`` is on the three shards meanwhile.

    With ``copies``, they hold rows that are not theirs as well.
    """
    like = connections[sharding.aliases("customer")[0]]
    for alias in DATABASES:
        _create(like, alias, time_zone)
    before = topology.current()
    keyspace = Keyspace.of("customer", RANGES, (), copies)
    try:
        topology.use(replace(before, keyspaces={**before.keyspaces, "customer": keyspace}))
        fill(keyspace)
        yield keyspace
    finally:
        topology.use(before)
        for alias in DATABASES:
            _drop(like, alias)


def fill(keyspace: Keyspace) -> None:
    for model, found in zip(MODELS, rows(), strict=True):
        model.objects.using(TOGETHER).bulk_create(found)
        for alias in SHARDS:
            held = keyspace.owned(alias) + tuple(
                (first, last) for first, last, holder in keyspace.copies if holder == alias
            )
            own = [row for row in found if any(first <= _bucket(row) <= last for first, last in held)]
            model.objects.using(alias).bulk_create(own)


def _bucket(row: Any) -> int:
    key: int = row.id if isinstance(row, Owner) else row.owner_id
    return key % ids.BUCKETS


def _create(like: Any, alias: str, time_zone: str | None) -> None:
    name = f"{like.settings_dict['NAME']}_{alias}"
    with like.creation._nodb_cursor() as cursor:
        cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        cursor.execute(sql.SQL("CREATE DATABASE {} STRATEGY file_copy").format(sql.Identifier(name)))
    connections.databases[alias] = {**like.settings_dict, "NAME": name, "TIME_ZONE": time_zone}
    with connections[alias].schema_editor() as editor:
        for model in MODELS:
            editor.create_model(model)


def _drop(like: Any, alias: str) -> None:
    name = connections[alias].settings_dict["NAME"]
    connections[alias].close()
    del connections[alias]
    del connections.databases[alias]
    with like.creation._nodb_cursor() as cursor:
        cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
