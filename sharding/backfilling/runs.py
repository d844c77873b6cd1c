"""One job on all its databases at once, until none of them has anything left to do."""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import psycopg
from django.db import connections, router

from sharding import directory, maps, topology
from sharding.backfilling import books
from sharding.backfilling.batches import Filling, Progress, State
from sharding.backfilling.books import Book, Desk, Position
from sharding.backfilling.jobs import BackfillJob, job
from sharding.errors import DirectoryUnavailable, ShardingError
from sharding.migrating.patience import Patience
from sharding.plans import groups

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
"""How often it is asked whether somebody wants the job paused."""
ROUNDS = 20

Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to do it."""

    workers: int = 4
    """Databases at the same time; each has one thread and one connection."""
    patience: Patience = field(default_factory=Patience)


def places(work: BackfillJob, only: Iterable[str] = ()) -> dict[str, Progress]:
    """The databases that have the job's table, nothing done yet; or of these only ``only``."""
    model = work.model_class()
    return {
        alias: Progress(alias, group.name)
        for group in groups(only)
        for alias in group.aliases
        if router.allow_migrate_model(alias, model)
    }


def run(
    name: str,
    progress: dict[str, Progress],
    options: Options | None = None,
    *,
    report: Report = lambda progress: None,
    begun: Callable[[str], None] = lambda what: None,
) -> None:
    """Fill the databases of ``progress``, going on where each of them is; returns when no row is left, or it stopped.

    Rows may move between databases meanwhile. So when all are through, each is asked once more whether anything is
    pending; that counts only if the map was the same before and after, else it is asked again.

    A failure on one database does not stop the others; the caller looks at ``Progress.error``. Raises
    ``AlreadyRunning``, and ``ShardingError`` for a job that somebody paused or cancelled.
    """
    work = job(name)
    with Desk(name) as desk:
        if desk.wanted() != "run":
            raise ShardingError(f"{name} was told to {desk.wanted()}; give --resume or --restart")
        crew = _Crew(work, options or Options(), report, desk)
        todo = list(progress.values())
        for number in range(1, ROUNDS + 1):
            begun("filling" if number == 1 else f"round {number}, as rows have appeared")
            if not crew.fill(todo):
                return
            epoch = _map_epoch()
            if not crew.look(progress.values()):
                return
            todo = [one for one in progress.values() if one.state is not State.DONE]
            if not todo and _map_epoch() == epoch:
                desk.finish()
                return
        raise ShardingError(f"{name}: rows kept moving or appearing for {ROUNDS} rounds; run it again when they do not")


def _map_epoch() -> int:
    """That of the newest map, by which this process goes from here on."""
    maps.learn(directory.read())
    return topology.current().epoch


class _Crew:
    def __init__(self, work: BackfillJob, options: Options, report: Report, desk: Desk) -> None:
        self._work = work
        self._options = options
        self._report = report
        self._desk = desk
        self._stop = threading.Event()

    def fill(self, todo: Sequence[Progress]) -> bool:
        """Go on where each of them is; says whether all came to their end."""
        return self._all(self._fill, todo)

    def look(self, everyone: Iterable[Progress]) -> bool:
        """Ask whether anything is pending, and let whoever has something wait again; says whether all answered."""
        return self._all(self._look, list(everyone))

    def _all(self, do: Callable[[Progress], None], todo: Sequence[Progress]) -> bool:
        with ThreadPoolExecutor(max(1, self._options.workers), "backfill") as threads:
            try:
                jobs = {threads.submit(self._guarded, do, one) for one in todo}
                while jobs:
                    _, jobs = wait(jobs, timeout=LOOK_SECONDS)
                    if self._desk.wanted() != "run":
                        self._stop.set()
            except psycopg.Error as error:
                self._stop.set()
                raise DirectoryUnavailable(
                    f"the directory went away: {str(error).strip()}; each database knows how far it is: run it again"
                ) from error
            except BaseException:
                self._stop.set()
                raise
        return not self._stop.is_set() and all(one.error is None for one in todo)

    def _guarded(self, do: Callable[[Progress], None], one: Progress) -> None:
        if self._stop.is_set():
            return
        try:
            do(one)
        except Exception as error:
            logger.exception("%s was not filled", one.alias)
            one.end(State.FAILED, error)
        finally:
            connections.close_all()  # the job may have asked others
            del connections[one.alias]
        self._report(one)

    def _fill(self, one: Progress) -> None:
        one.begin(State.FILLING)
        self._filling(one).run()
        one.end(State.DONE if one.position.state == "done" else State.STOPPED)

    def _look(self, one: Progress) -> None:
        if self._filling(one).has_pending():
            one.state = State.WAITING

    def _filling(self, one: Progress) -> Filling:
        return Filling(self._work, one, self._options.patience, self._stop, self._report)


def status(name: str, progress: dict[str, Progress], workers: int = 4) -> None:
    """Read how far each database of ``progress`` is."""

    def read(one: Progress) -> None:
        try:
            position = Book(connections[one.alias], name).read()
        finally:
            connections[one.alias].close()
            del connections[one.alias]
        one.position = position or Position()
        one.state = State.WAITING if position is None else State.DONE if position.state == "done" else State.STOPPED
        one.changed = one.position.changed

    with ThreadPoolExecutor(max(1, workers), "status") as threads:
        for found in [threads.submit(read, one) for one in progress.values()]:
            found.result()


def cancel(name: str, progress: dict[str, Progress]) -> None:
    """Stop the job for good: who is at work ends after the batch it is in, and nobody remembers how far it was."""
    books.want(name, "cancel")
    forget(name, progress)


def forget(name: str, progress: dict[str, Progress]) -> None:
    """Let the job begin anew everywhere. What it changed stays."""
    for alias in progress:
        Book(connections[alias], name).forget()
