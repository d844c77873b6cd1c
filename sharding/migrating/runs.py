"""Migrating many databases: one of each keyspace first, then all at once, so many at a time."""

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
from django.db import connections
from django.db.migrations import Migration

from sharding import conf, linting, moves
from sharding.deadlines import deadline
from sharding.errors import DirectoryUnavailable, ShardingError
from sharding.migrating import applying, canaries
from sharding.migrating.applying import Stopped, Work
from sharding.migrating.ledger import Ledger
from sharding.migrating.patience import Patience
from sharding.migrating.progress import Progress, Report, State
from sharding.plans import Group, Plan

logger = logging.getLogger(__name__)

WRITE_SECONDS = 0.5
"""How often the directory is told how far everybody is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to migrate."""

    workers: int = 4
    """Databases at the same time; each has one thread and one connection."""
    canary: bool = True
    """One database of each keyspace goes first and is checked, unless all of them are new."""
    canaries: Collection[str] = ()
    """Databases to go first; for a keyspace with none of them one is chosen."""
    resume: bool = False
    """Go on with the last run: its databases, without trying again the canaries that were found sound."""
    unsafe: str = ""
    """Why operations that the lint refuses may run nevertheless."""
    patience: Patience = field(default_factory=Patience)


def pending(alias: str, plan: Plan | None = None) -> list[Migration]:
    """The migrations that this database lacks."""
    return (plan or Plan()).lacking(applying.recorded(alias) or set(), alias)


def migrate(
    groups: Sequence[Group],
    options: Options | None = None,
    *,
    report: Report = lambda progress: None,
    begun: Callable[[str, dict[str, Progress]], None] = lambda what, everyone: None,
) -> dict[str, Progress]:
    """Bring every database to the newest migrations.

    A failure on one of them stops all: those at work end the migration they are in, the others are left alone. Where it
    failed, what the migration did is undone if the migration is a transaction. The caller looks at ``Progress.error``;
    running it again continues. ``begun`` is told about each part before it begins, in words, and everybody's progress.

    Raises ``AlreadyRunning``, ``linting.Unsafe``, ``MoveRefused`` and ``DirectoryUnavailable`` before anything is done.
    """
    options = options or Options()
    plan = Plan()
    with Ledger() as ledger:
        if ledger.interrupted is not None:
            begun(f"the last one did not end well: {ledger.interrupted}", {})
        sound: set[str] = set()
        if options.resume:
            groups, sound = _interrupted(ledger, plan, groups)
        progress = look(plan, groups, options.workers)
        if any(one.lacking for one in progress.values()):
            moves.refuse_migrating()
        if not options.unsafe:
            linting.refuse(plan, (one.lacking for one in progress.values() if not one.is_new))
        plan.need(migration for one in progress.values() for migration in one.lacking)
        crew = _Crew(plan, groups, progress, options, report, ledger)
        ledger.begin(plan.digest, options.unsafe)
        with crew.at_work():
            first = crew.choose_canaries(sound) if options.canary else []
            for alias in first:
                if not crew.is_stopped:
                    begun(f"{alias} goes first", progress)
                    crew.migrate([alias], check=True)
            if not crew.is_stopped:
                begun("the others" if first else "all", progress)
                crew.migrate([alias for alias in progress if alias not in first], check=False)
        return progress


def look(plan: Plan, groups: Sequence[Group], workers: int = 4) -> dict[str, Progress]:
    """Ask every database what it lacks, so many at a time; raises what the first failure raised. One query each."""
    with ThreadPoolExecutor(max(1, workers), "look") as threads:
        jobs = [threads.submit(_look, plan, Progress(alias, group.name)) for group in groups for alias in group.aliases]
        return {one.alias: one for one in [job.result() for job in jobs]}


def _look(plan: Plan, one: Progress) -> Progress:
    with _own_connection(one.alias), deadline(conf.options().deadline_seconds):
        there = applying.recorded(one.alias)
    one.is_new = not there
    one.lacking = plan.lacking(there or set(), one.alias)
    one.total = len(one.lacking)
    return one


def _interrupted(ledger: Ledger, plan: Plan, groups: Sequence[Group]) -> tuple[list[Group], set[str]]:
    """What the interrupted run was about, and its canaries that were found sound."""
    run = ledger.interrupted
    if run is None:
        raise ShardingError("there is nothing to resume: the last run came to its end; leave out --resume")
    if run.plan != plan.digest:
        raise ShardingError(f"the code has other migrations now than {run}; leave out --resume")
    databases = ledger.databases(run)
    names = {alias for alias, _, _ in databases}
    sound = {alias for alias, is_canary, state in databases if is_canary and state == State.DONE}
    kept = [Group(group.name, tuple(alias for alias in group.aliases if alias in names)) for group in groups]
    return [group for group in kept if group.aliases], sound


class _Crew:
    """Threads that take one database after the other."""

    def __init__(
        self,
        plan: Plan,
        groups: Sequence[Group],
        progress: dict[str, Progress],
        options: Options,
        report: Report,
        ledger: Ledger,
    ) -> None:
        self._plan = plan
        self._groups = groups
        self._options = options
        self._report = report
        self._ledger = ledger
        self._stop = threading.Event()
        self.progress = progress

    def choose_canaries(self, sound: Collection[str]) -> list[str]:
        """Who goes first, of the groups where nobody was found ``sound`` already."""
        groups = [group for group in self._groups if not set(group.aliases) & set(sound)]
        found = [canaries.choose(group, self.progress, self._options.canaries) for group in groups]
        chosen = [alias for alias in found if alias is not None]
        for alias in (*chosen, *sound):
            self.progress[alias].is_canary = True
        return chosen

    @property
    def is_stopped(self) -> bool:
        return self._stop.is_set()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Writes down how it ended."""
        try:
            yield
        except psycopg.Error as error:
            raise DirectoryUnavailable(
                f"the directory went away: {str(error).strip()}; what was done is recorded in each database: run it "
                "again"
            ) from error
        except BaseException:
            self._ledger.write(self.progress.values())
            self._ledger.end("interrupted")
            raise
        self._ledger.write(self.progress.values())
        self._ledger.end("failed" if self.is_stopped else "done")

    def migrate(self, aliases: Sequence[str], *, check: bool) -> None:
        """Migrate these, until somebody fails; returns when all have ended."""
        with self._threads() as threads:
            try:
                jobs = {threads.submit(self._migrate, alias, check) for alias in aliases}
                while jobs:
                    self._ledger.write(self.progress.values())
                    _, jobs = wait(jobs, timeout=WRITE_SECONDS)
            except BaseException:
                self._stop.set()
                raise

    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(max(1, self._options.workers), "migrate")

    def _migrate(self, alias: str, check: bool) -> None:
        if self._stop.is_set():
            return
        one = self.progress[alias]
        one.begin(State.MIGRATING)
        try:
            with _own_connection(alias):
                Work(self._plan, one, self._options.patience, self._stop, self._report).run()
                if check:
                    one.state, one.step = State.CHECKING, "is what it should be"
                    self._report(one)
                    canaries.check(self._plan, alias, one.lacking)
            one.end(State.DONE)
        except Stopped:
            one.end(State.STOPPED)
        except Exception as error:
            logger.exception("%s was not migrated", alias)
            one.end(State.FAILED, error)
            self._stop.set()
        self._report(one)


@contextmanager
def _own_connection(alias: str) -> Iterator[None]:
    """This thread's connection to a database, closed and forgotten afterwards: there may be hundreds."""
    try:
        yield
    finally:
        connections.close_all()  # a migration may have asked others
        if hasattr(connections._connections, alias):  # type: ignore[attr-defined]
            del connections[alias]
