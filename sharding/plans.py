"""What there is to do: the project's migrations in order, each worked out once for all databases.

Django's executor renders every historical model again for each database, which is most of a migration's time. Here the
states before and after each operation are made once, when the first database needs them; workers only send SQL.
"""

import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS
from django.db.migrations import Migration
from django.db.migrations.exceptions import InconsistentMigrationHistory
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import RunPython, SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from sharding import topology
from sharding.errors import ShardingError

Key = tuple[str, str]
"""App label and name of a migration."""


@dataclass(frozen=True, slots=True)
class Step:
    """One operation, with the project as it is before and after it."""

    operation: Operation
    before: ProjectState
    after: ProjectState


class Group(NamedTuple):
    """Databases that hold the same tables."""

    name: str
    aliases: tuple[str, ...]


def groups(only: Iterable[str] = ()) -> list[Group]:
    """The global database, then those of each keyspace, each database once; or of these only ``only``."""
    wanted = set(only) or set(topology.all_aliases())
    unknown = wanted - set(topology.all_aliases())
    if unknown:
        raise ShardingError(
            f"no database is called {', '.join(sorted(unknown))}; there are {', '.join(topology.all_aliases())}"
        )
    seen: set[str] = set()
    found = []
    candidates = [("global", (DEFAULT_DB_ALIAS,)), *((k.name, k.databases) for k in topology.keyspaces().values())]
    for name, aliases in candidates:
        mine = tuple(alias for alias in aliases if alias in wanted and alias not in seen)
        seen.update(mine)
        if mine:
            found.append(Group(name, mine))
    return found


def key_of(migration: Migration) -> Key:
    return (migration.app_label, migration.name)


def name_of(migration: Migration) -> str:
    return f"{migration.app_label}.{migration.name}"


class Plan:
    """Every migration of the project, in an order that all databases can follow."""

    def __init__(self) -> None:
        self.loader = MigrationLoader(None)
        conflicts = self.loader.detect_conflicts()
        if conflicts:
            raise ShardingError(f"conflicting migrations in {', '.join(sorted(conflicts))}; run makemigrations --merge")
        found: dict[Key, None] = {}
        for target in self.loader.graph.leaf_nodes():
            found.update(dict.fromkeys(self.loader.graph.forwards_plan(target)))
        self.migrations: tuple[Migration, ...] = tuple(self.loader.graph.nodes[key] for key in found)
        self._order = self.migrations
        self._needed: set[Key] = set()
        self._steps: dict[Key, list[Step]] = {}
        self._state = self.initial_state()
        self._reached = 0
        self._lock = threading.Lock()

    @property
    def digest(self) -> str:
        """Two plans with the same migrations have the same one."""
        return sha256("\n".join(name_of(migration) for migration in self.migrations).encode()).hexdigest()[:16]

    def initial_state(self) -> ProjectState:
        """The project before its first migration."""
        return ProjectState(real_apps=self.loader.unmigrated_apps)

    def lacking(self, recorded: Collection[Key], alias: str) -> list[Migration]:
        """What a database that has ``recorded`` still needs; raises ``InconsistentMigrationHistory`` if that makes no
        sense."""
        applied = set(recorded)
        for key, migration in self.loader.replacements.items():
            there = [tuple(replaced) in applied for replaced in migration.replaces]
            if all(there):
                applied.add(key)
            elif any(there) and key not in applied:
                raise InconsistentMigrationHistory(
                    f"{alias} has some of the migrations that {name_of(migration)} replaces, and not all; finish them "
                    "with the release before"
                )
        lacking = [migration for migration in self.migrations if key_of(migration) not in applied]
        for migration in self.migrations:
            for parent in self.loader.graph.node_map[key_of(migration)].parents:
                if key_of(migration) in applied and parent.key not in applied:
                    raise InconsistentMigrationHistory(
                        f"{alias}: {name_of(migration)} is applied before its dependency {'.'.join(parent.key)}"
                    )
        return lacking

    def need(self, migrations: Iterable[Migration]) -> None:
        """Say, before anything else, whose ``steps`` will be asked for.

        All others are applied everywhere, and so is what they depend on. They are passed by first, before any model is
        rendered: with models it takes ten times as long.
        """
        self._needed = {key_of(migration) for migration in migrations}
        self._order = tuple(sorted(self.migrations, key=lambda migration: key_of(migration) in self._needed))

    def steps(self, migration: Migration) -> list[Step]:
        """The operations of a migration that is needed. The first call works out all needed migrations up to it."""
        with self._lock:
            while key_of(migration) not in self._steps:
                self._advance()
            return self._steps[key_of(migration)]

    def final_apps(self) -> Any:
        """The models as they are after the last migration."""
        with self._lock:
            while self._reached < len(self._order):
                self._advance()
            return self._state.apps

    def _advance(self) -> None:
        migration = self._order[self._reached]
        if key_of(migration) in self._needed:
            if "apps" not in self._state.__dict__:
                _ = self._state.apps  # rendered once, then kept up to date by the operations
            self._steps[key_of(migration)], self._state = _worked_out(migration, self._state)
        else:
            self._state = migration.mutate_state(self._state, preserve=False)
        self._reached += 1


def _worked_out(migration: Migration, state: ProjectState) -> tuple[list[Step], ProjectState]:
    steps: list[Step] = []
    for operation in migration.operations:
        before = _rendered(operation, state)
        state = _after(operation, migration.app_label, before)
        if type(operation) is SeparateDatabaseAndState:
            # It would work out the states of its parts for each database, and in several threads at once.
            inner = before
            for part in operation.database_operations:
                inner = _rendered(part, inner)
                outer = _after(part, migration.app_label, inner)
                steps.append(Step(part, inner, outer))
                inner = outer
        else:
            steps.append(Step(operation, before, state))
    return steps, state


def _rendered(operation: Operation, state: ProjectState) -> ProjectState:
    """``state``, safe to be read by several threads while ``operation`` runs."""
    if isinstance(operation, RunPython):
        # It would throw away and render again what it reads.
        state.clear_delayed_apps_cache()
        state.is_delayed = False
        _ = state.apps
    return state


def _after(operation: Operation, app_label: str, before: ProjectState) -> ProjectState:
    after = before.clone()
    operation.state_forwards(app_label, after)
    return after
