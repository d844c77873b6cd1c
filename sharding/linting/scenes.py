"""What surrounds an operation when the lint looks at it."""

from dataclasses import dataclass, field

from django.db.migrations import Migration
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState

Table = tuple[str, str]
"""App label and lower-case name of a model."""


@dataclass(slots=True)
class Release:
    """Migrations that are run one after the other while one version of the code serves."""

    start: ProjectState
    """What the serving code knows."""
    created: set[Table] = field(default_factory=set)
    """Tables that this release makes: nobody waits for them, nobody knows them yet."""


@dataclass(slots=True)
class Scene:
    """One operation and what is known when it runs."""

    operation: Operation
    migration: Migration
    before: ProjectState
    after: ProjectState
    release: Release
    is_holding_locks: bool
    """An earlier operation of the same transaction has locked a table in use."""

    @property
    def app_label(self) -> str:
        return self.migration.app_label

    def model(self, name: str, state: ProjectState | None = None) -> ModelState | None:
        return (state or self.after).models.get((self.app_label, name.lower()))

    def is_in_use(self, name: str) -> bool:
        """Whether others may be at work on the table of this model: it is neither new nor none at all."""
        model = self.model(name, self.before) or self.model(name)
        if model is None:
            return True
        is_table = model.options.get("managed", True) and not model.options.get("proxy", False)
        return is_table and (self.app_label, name.lower()) not in self.release.created

    def is_app_in_use(self) -> bool:
        """Whether others may be at work on any table of the migration's app."""
        tables = [table for table in self.release.start.models if table[0] == self.app_label]
        return bool(tables)

    def new_table_names(self) -> set[str]:
        """The tables of this release as the database calls them."""
        return {table_name(model) for key, model in self.after.models.items() if key in self.release.created}


def table_name(model: ModelState) -> str:
    return str(model.options.get("db_table") or f"{model.app_label}_{model.name_lower}")
