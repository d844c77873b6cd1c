"""Migrating many databases that hold the same tables: each migration is worked out once and run on all of them.

Django's executor renders every historical model again for each database, which is most of a migration's time. Here the
states before and after each operation are made once, in the calling thread; the workers only send SQL.
"""

import functools
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from django.core.management.sql import emit_post_migrate_signal, emit_pre_migrate_signal
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.migrations import Migration
from django.db.migrations.exceptions import InconsistentMigrationHistory
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.operations.special import RunPython
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ProjectState

from sharding import topology
from sharding.deadlines import deadline
from sharding.errors import ShardingError

Step = tuple[Operation, ProjectState, ProjectState]
Key = tuple[str, str]


@dataclass(slots=True)
class Progress:
    """How far one database has come."""

    alias: str
    applied: int = 0
    seconds: float = 0.0
    error: Exception | None = None
    last: str = ""


Report = Callable[[Progress], None]

_alone = threading.Lock()
"""Held by operations that write to the shared state while they run."""


def groups(only: Iterable[str] = ()) -> list[tuple[str, tuple[str, ...]]]:
    """``(name, databases)`` in the order of migrating: the global database, then each keyspace; each database once."""
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
            found.append((name, mine))
    return found


def pending(alias: str, loader: MigrationLoader | None = None) -> int:
    """How many migrations this database lacks."""
    loader = loader or MigrationLoader(None)
    return len(_plan(loader)) - len(_applied(alias, loader) & {_key(migration) for migration in _plan(loader)})


def migrate(
    groups: Sequence[Sequence[str]], *, workers: int = 4, report: Report = lambda progress: None
) -> dict[str, Progress]:
    """Bring every database to the newest migrations, each migration on one group after the other.

    ``workers`` databases are worked on at a time. A failure stops everything once its group has finished the same
    migration, so that databases drift apart by one migration at most; where it failed, what the migration did is
    undone, if the migration is a transaction. The caller looks at ``Progress.error``. Running it again continues.
    """
    loader = MigrationLoader(None)
    conflicts = loader.detect_conflicts()
    if conflicts:
        raise ShardingError(f"conflicting migrations in {', '.join(sorted(conflicts))}; run makemigrations --merge")
    crew = _Crew(workers, [alias for group in groups for alias in group], report)
    try:
        _migrate(loader, crew, groups)
    finally:
        crew.dismiss()
    return crew.progress


def _migrate(loader: MigrationLoader, crew: "_Crew", groups: Sequence[Sequence[str]]) -> None:
    plan = _plan(loader)
    applied: dict[str, set[Key]] = crew.each(lambda alias: _begin(alias, loader, plan))
    if crew.failed:
        return
    state = ProjectState(real_apps=loader.unmigrated_apps)
    for migration in plan:
        lacking = [[alias for alias in group if _key(migration) not in applied[alias]] for group in groups]
        if not any(lacking):
            state = migration.mutate_state(state, preserve=False)
            continue
        if "apps" not in state.__dict__:
            _ = state.apps  # rendered once, then kept up to date by the operations
        steps, state = _steps(migration, state)
        for group in lacking:
            crew.each(functools.partial(_apply, migration=migration, steps=steps), group)
            if crew.failed:
                return
    final = state.apps
    crew.each(lambda alias: _finish(alias, final, [(m, False) for m in plan if _key(m) not in applied[alias]]))


class _Crew:
    """Threads that each look after some of the databases, with the connections to them."""

    def __init__(self, workers: int, aliases: Sequence[str], report: Report) -> None:
        count = max(1, min(workers, len(aliases)))
        self._threads = [ThreadPoolExecutor(1, f"migrate-{n}") for n in range(count)]
        self._thread_of = {alias: self._threads[n % count] for n, alias in enumerate(aliases)}
        self._report = report
        self.progress = {alias: Progress(alias) for alias in aliases}

    @property
    def failed(self) -> bool:
        return any(progress.error is not None for progress in self.progress.values())

    def each(self, do: Callable[[str], Any], aliases: Iterable[str] | None = None) -> dict[str, Any]:
        """``do(alias)`` for all at once; waits. A failure is kept in the database's progress."""
        chosen = self.progress if aliases is None else aliases
        jobs: dict[str, Future[Any]] = {
            alias: self._thread_of[alias].submit(self._timed, do, self.progress[alias]) for alias in chosen
        }
        return {alias: job.result() for alias, job in jobs.items()}

    def _timed(self, do: Callable[[str], Any], progress: Progress) -> Any:
        started = time.monotonic()
        try:
            with deadline(None):
                answer = do(progress.alias)
        except Exception as error:  # kept for the caller, who says which database it was
            progress.error = error
            answer = None
        progress.seconds += time.monotonic() - started
        if isinstance(answer, str):
            progress.applied += 1
            progress.last = answer
        self._report(progress)
        return answer

    def dismiss(self) -> None:
        for alias, thread in self._thread_of.items():
            thread.submit(_close, alias).result()
        for thread in self._threads:
            thread.shutdown()


def _close(alias: str) -> None:
    connections[alias].close()


def _begin(alias: str, loader: MigrationLoader, plan: list[Migration]) -> set[Key]:
    recorder = MigrationRecorder(connections[alias])
    recorder.ensure_schema()
    applied = _applied(alias, loader)
    for migration in plan:
        for parent in loader.graph.node_map[_key(migration)].parents:
            if _key(migration) in applied and parent.key not in applied:
                raise InconsistentMigrationHistory(
                    f"{_name(migration)} is applied before its dependency {'.'.join(parent.key)}"
                )
    lacking = [(migration, False) for migration in plan if _key(migration) not in applied]
    emit_pre_migrate_signal(0, False, alias, plan=lacking)
    return applied


def _applied(alias: str, loader: MigrationLoader) -> set[Key]:
    """What this database has, a squashed migration counting once all that it replaces is there."""
    applied = set(MigrationRecorder(connections[alias]).applied_migrations())
    for key, migration in loader.replacements.items():
        if all(replaced in applied for replaced in migration.replaces):
            applied.add(key)
    return applied


def _plan(loader: MigrationLoader) -> list[Migration]:
    found: dict[Key, None] = {}
    for target in loader.graph.leaf_nodes():
        found.update(dict.fromkeys(loader.graph.forwards_plan(target)))
    return [loader.graph.nodes[key] for key in found]


def _steps(migration: Migration, state: ProjectState) -> tuple[list[Step], ProjectState]:
    steps = []
    for operation in migration.operations:
        if isinstance(operation, RunPython):
            # It would throw away and render again what it reads; not while several threads read it.
            state.clear_delayed_apps_cache()
            state.is_delayed = False
            _ = state.apps
        before = state
        state = before.clone()
        operation.state_forwards(migration.app_label, state)
        steps.append((operation, before, state))
    return steps, state


def _apply(alias: str, migration: Migration, steps: list[Step]) -> str:
    connection = connections[alias]
    with connection.schema_editor(atomic=migration.atomic) as editor:
        for operation, before, after in steps:
            in_transaction = operation.atomic or (migration.atomic and operation.atomic is not False)
            with _exclusive(operation):
                if in_transaction and not editor.atomic_migration:
                    with transaction.atomic(using=alias):
                        operation.database_forwards(migration.app_label, editor, before, after)
                else:
                    operation.database_forwards(migration.app_label, editor, before, after)
        recorded = not editor.deferred_sql
        if recorded:
            _record(alias, migration)
    if not recorded:
        _record(alias, migration)
    return _name(migration)


def _exclusive(operation: Operation) -> threading.Lock:
    """Some operations put a one-off default on the state's field while they work: those take turns."""
    return _alone if not getattr(operation, "preserve_default", True) else threading.Lock()


def _record(alias: str, migration: Migration) -> None:
    recorder = MigrationRecorder(connections[alias])
    for app_label, name in migration.replaces or [_key(migration)]:
        recorder.record_applied(app_label, name)


def _finish(alias: str, apps: Any, plan: list[tuple[Migration, bool]]) -> None:
    emit_post_migrate_signal(0, False, alias, apps=apps, plan=plan)


def _key(migration: Migration) -> Key:
    return (migration.app_label, migration.name)


def _name(migration: Migration) -> str:
    return f"{migration.app_label}.{migration.name}"
