"""One database: what it lacks, applied so that a kill at any moment can be continued."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial

from django.contrib.postgres.operations import AddIndexConcurrently, NotInTransactionMixin
from django.core.management.sql import emit_post_migrate_signal, emit_pre_migrate_signal
from django.db import ProgrammingError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.operations import RunPython, RunSQL
from django.db.migrations.operations.base import Operation
from django.db.migrations.recorder import MigrationRecorder
from psycopg.pq import TransactionStatus

from sharding import errors, names
from sharding.errors import ShardingError
from sharding.migrating import indexes
from sharding.migrating.ledger import Position, Positions
from sharding.migrating.patience import LocksNotGranted, Patience, oldest_transaction, unhurried
from sharding.migrating.progress import Progress, Report, State
from sharding.plans import Key, Plan, Step, key_of, name_of

UNDEFINED_TABLE = "42P01"

_alone = threading.Lock()
"""Held by operations that write to the shared state while they run."""


class Stopped(ShardingError):
    """Somebody said stop; nothing is half done that could not be continued."""


def recorded(alias: str) -> set[Key] | None:
    """The migrations that the database says it has; None where it has never seen one. One query, nothing is made."""
    try:
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT app, name FROM django_migrations")
            return set(cursor.fetchall())
    except ProgrammingError as error:
        if errors.sqlstate(error) == UNDEFINED_TABLE:
            return None
        raise


class Work:
    """Migrating one database, by one thread, over its connection of that database."""

    def __init__(
        self, plan: Plan, progress: Progress, patience: Patience, stop: threading.Event, report: Report
    ) -> None:
        self._plan = plan
        self._progress = progress
        self._patience = patience
        self._stop = stop
        self._report = report
        self._alias = progress.alias

    @property
    def _connection(self) -> BaseDatabaseWrapper:
        return connections[self._alias]

    def run(self) -> None:
        """Apply everything that is lacking, then have Django and the library make what belongs to it.

        Raises ``Stopped`` between two steps once somebody said stop. What is done is recorded, always.
        """
        lacking = self._progress.lacking
        with unhurried(self._connection, self._patience.lock_timeout_ms), self._alone_here():
            if self._progress.is_new:
                MigrationRecorder(self._connection).ensure_schema()
            emit_pre_migrate_signal(0, False, self._alias, plan=[(migration, False) for migration in lacking])
            for migration in lacking:
                self._check_stop()
                self._apply(migration)
                self._progress.applied += 1
                self._report(self._progress)
            self._say("triggers and checks")
            self._insist(self._finish)

    @contextmanager
    def _alone_here(self) -> Iterator[None]:
        """Wait until no session migrates this database: that of a killed run works on until its statement ends.

        Asked again and again, as a session that waits in the server would keep CREATE INDEX CONCURRENTLY waiting.
        """
        lock = [names.ADVISORY_CLASS, names.MIGRATED_LOCK]
        while not self._ask("SELECT pg_try_advisory_lock(%s, %s)", lock):
            self._say("waits for the session of an earlier run to end")
            self._rest(0.2)
        try:
            yield
        finally:
            session = self._connection.connection
            if session is not None and session.info.transaction_status == TransactionStatus.IDLE:
                self._ask("SELECT pg_advisory_unlock(%s, %s)", lock)

    def _ask(self, statement: str, params: list[int]) -> object:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, params)
            return cursor.fetchone()[0]

    def _apply(self, migration: Migration) -> None:
        steps = self._plan.steps(migration)
        if migration.atomic:
            self._say(name_of(migration))
            self._insist(lambda: self._in_one_transaction(migration, steps))
        else:
            self._step_by_step(migration, steps)

    def _in_one_transaction(self, migration: Migration, steps: list[Step]) -> None:
        with transaction.atomic(using=self._alias):
            with self._connection.schema_editor(atomic=True) as editor:
                for step in steps:
                    with _taking_turns(step.operation):
                        step.operation.database_forwards(migration.app_label, editor, step.before, step.after)
            self._record(migration)

    def _step_by_step(self, migration: Migration, steps: list[Step]) -> None:
        positions = Positions(self._connection)
        positions.ensure()
        position = positions.get(key_of(migration))
        for number, step in enumerate(steps[position.done :], position.done):
            self._check_stop()
            self._say(f"{name_of(migration)} {number + 1}/{len(steps)}: {step.operation.describe()}")
            if _runs_in_transaction(step.operation):
                self._insist(partial(self._one_transaction, migration, step, number))
            else:
                was_begun = position.begun > number
                positions.put(key_of(migration), Position(number, number + 1))
                self._insist(partial(self._one_step, migration, step, was_begun))
                positions.put(key_of(migration), Position(number + 1, number + 1))
        with transaction.atomic(using=self._alias):
            self._record(migration)
            positions.forget(key_of(migration))

    def _one_transaction(self, migration: Migration, step: Step, number: int) -> None:
        with transaction.atomic(using=self._alias):
            with self._connection.schema_editor(atomic=True) as editor, _taking_turns(step.operation):
                step.operation.database_forwards(migration.app_label, editor, step.before, step.after)
            Positions(self._connection).put(key_of(migration), Position(number + 1, number + 1))

    def _one_step(self, migration: Migration, step: Step, was_begun: bool) -> None:
        """A step that is no transaction: what an earlier attempt left is cleared away first."""
        operation = step.operation
        if isinstance(operation, AddIndexConcurrently):
            model = step.after.apps.get_model(migration.app_label, operation.model_name)
            if not operation.allow_migrate_model(self._alias, model):
                return
            table = model._meta.db_table
            if indexes.clear_the_way(self._connection, operation.index.name, table, was_begun=was_begun):
                return
        with self._connection.schema_editor(atomic=False) as editor:
            if isinstance(operation, RunPython | RunSQL) and operation.atomic:
                with transaction.atomic(using=self._alias):
                    operation.database_forwards(migration.app_label, editor, step.before, step.after)
            else:
                operation.database_forwards(migration.app_label, editor, step.before, step.after)

    def _record(self, migration: Migration) -> None:
        rows = MigrationRecorder(self._connection).migration_qs
        for app_label, name in migration.replaces or [key_of(migration)]:
            rows.create(app=app_label, name=name)

    def _finish(self) -> None:
        plan = [(migration, False) for migration in self._progress.lacking]
        emit_post_migrate_signal(0, False, self._alias, apps=self._plan.final_apps(), plan=plan)

    def _insist(self, do: Callable[[], None]) -> None:
        try:
            self._patience.insist(do, self._locked_out)
        except LocksNotGranted:
            self._progress.step += f", {oldest_transaction(self._connection)}"
            raise

    def _locked_out(self, seconds: float) -> None:
        step = self._progress.step
        self._progress.retries += 1
        self._progress.state = State.LOCKED_OUT
        self._progress.step = ", ".join(filter(None, [step, oldest_transaction(self._connection)]))
        self._report(self._progress)
        try:
            self._rest(seconds)
        finally:
            self._progress.state, self._progress.step = State.MIGRATING, step

    def _rest(self, seconds: float) -> None:
        self._stop.wait(seconds)
        self._check_stop()

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise Stopped(f"stopped before {self._progress.step or 'anything'}")

    def _say(self, step: str) -> None:
        self._progress.step = step
        self._report(self._progress)


def _runs_in_transaction(operation: Operation) -> bool:
    """Whether a step of a migration with ``atomic = False`` can be made a transaction of its own.

    Django sends it without one. Its own operations on models can have one, unless they say otherwise; what others wrote
    is left as it is.
    """
    if isinstance(operation, NotInTransactionMixin | RunPython | RunSQL):
        return False
    return type(operation).__module__.startswith("django.")


def _taking_turns(operation: Operation) -> AbstractContextManager[object]:
    """Some operations put a one-off default on the state's field while they work: those take turns."""
    return nullcontext() if getattr(operation, "preserve_default", True) else _alone
