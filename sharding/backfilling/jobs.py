"""What a project declares: which rows need something, and what it is."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.apps import apps
from django.db.models import Model, QuerySet
from django.utils.module_loading import autodiscover_modules
from typing_extensions import override

from sharding.errors import ShardingError

_registered: dict[str, type["BackfillJob"]] = {}


class BackfillJob:
    """A change of data that is made in batches, on every database that has the table, while everybody works.

    ::

        class Regions(BackfillJob):  # in backfills.py of an app
            name = "orders.regions"
            model = "orders.Order"
            values = {"region": Upper("code")}

            def pending(self, rows):
                return rows.filter(region="")

    Each batch is a transaction, the note how far it came included: a job that was killed goes on where it was, and does
    no row twice. Rows that appear behind it, because they are new or a move brings them, are found by ``pending`` when
    it comes to the end, and it goes round again until there are none.
    """

    name: ClassVar[str]
    """App label first: ``orders.regions``."""
    model: ClassVar[str]
    """``orders.Order``."""
    values: ClassVar[Mapping[str, Any]] = {}
    """What ``apply`` sets, unless it is overridden: values or expressions."""
    batch_size: ClassVar[int] = 1000
    """Rows that are looked at in one transaction."""
    pause_seconds: ClassVar[float] = 0.0
    """Rest after each batch, on each database."""

    def pending(self, rows: "QuerySet[Any]") -> "QuerySet[Any]":
        """Those of ``rows`` that need the change. A row that has had it must not be among them."""
        raise NotImplementedError(f"{type(self).__name__}.pending() has to say which rows need the change")

    def apply(self, rows: "QuerySet[Any]") -> None:
        """Make the change to ``rows``, which are locked; they are of one database: ``rows.db``.

        Whatever else it writes goes to that database too. Nothing slow: others wait for the locks.
        """
        if not self.values:
            raise NotImplementedError(f"{type(self).__name__} has neither values nor apply()")
        rows.update(**self.values)

    @override
    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if isinstance(cls.__dict__.get("name"), str):
            _registered[cls.name] = cls

    def model_class(self) -> type[Model]:
        """Raises ``LookupError`` where there is no such model."""
        return apps.get_model(self.model)


def jobs() -> dict[str, type[BackfillJob]]:
    """Every job by name: those of each app's module ``backfills``."""
    autodiscover_modules("backfills")
    return dict(sorted(_registered.items()))


def job(name: str) -> BackfillJob:
    """The job called ``name``; raises ``ShardingError`` where there is none."""
    found = jobs()
    if name not in found:
        raise ShardingError(f"no backfill is called {name!r}; there are {', '.join(found) or 'none'}")
    return found[name]()
