"""Showing many databases at work: a table that moves on a terminal, a line for each as it ends everywhere else."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from django.core.management.base import OutputWrapper

from sharding.migrating.progress import AT_WORK, Progress, State, pace, remaining_seconds

HEADINGS = ("database", "keyspace", "state", "applied", "retries", "seconds", "left", "step")
_WIDTHS = (24, 12, 11, 9, 7, 8, 6, 0)
_NUMBERS = slice(3, 7)
_LIVE_ROWS = 16


class Board(Protocol):
    """Where progress is shown."""

    def report(self, progress: Progress) -> None:
        """Called by workers whenever a database has come further."""

    def begun(self, what: str, everyone: Mapping[str, Progress]) -> None:
        """A new part of the work begins."""


@contextmanager
def shown(out: OutputWrapper, *, workers: int, verbosity: int) -> Iterator[Board]:
    """The board that suits ``out``."""
    if out.isatty() and verbosity == 1:
        with _Live(out, workers) as live:
            yield live
    else:
        yield _Plain(out, verbosity)


def cells(one: Progress, per_migration: float | None = None) -> tuple[str, ...]:
    """One database in the words of ``HEADINGS``."""
    left = f"{(one.total - one.applied) * per_migration:.0f} s" if per_migration and one.state in AT_WORK else ""
    return (
        one.alias + (" (canary)" if one.is_canary else ""),
        one.group,
        str(one.state),
        f"{one.applied}/{one.total}",
        str(one.retries),
        f"{one.seconds:.2f}",
        left,
        one.step if one.state is not State.DONE else "",
    )


def line(texts: tuple[str, ...]) -> str:
    """The cells of one row beside each other, numbers to the right."""
    numbers = range(len(texts))[_NUMBERS]
    padded = [
        text.rjust(width) if number in numbers else text.ljust(width)
        for number, (text, width) in enumerate(zip(texts, _WIDTHS, strict=True))
    ]
    return " ".join(padded).rstrip()


class _Plain:
    """For files, pipes and people who like to scroll."""

    def __init__(self, out: OutputWrapper, verbosity: int) -> None:
        self._out = out
        self._verbosity = verbosity
        self._lock = threading.Lock()
        self._has_headings = False

    def report(self, progress: Progress) -> None:
        if progress.is_ended:
            self._write(line(cells(progress)))
        elif self._verbosity > 1:
            self._write(f"    {progress.alias:<22} {progress.step}")

    def begun(self, what: str, everyone: Mapping[str, Progress]) -> None:
        self._write(f"{what}:")
        if everyone and not self._has_headings:
            self._has_headings = True
            self._write(line(HEADINGS))

    def _write(self, text: str) -> None:
        with self._lock:
            self._out.write(text)
            self._out.flush()


class _Live:
    """For a terminal: those at work, those that failed, and how far everybody is."""

    def __init__(self, out: OutputWrapper, workers: int) -> None:
        from rich.console import Console
        from rich.live import Live

        self._workers = workers
        self._what = ""
        self._began = time.monotonic()
        self._everyone: Mapping[str, Progress] = {}
        self._console = Console(file=out._out)  # type: ignore[arg-type]
        self._live = Live(get_renderable=self._picture, console=self._console, refresh_per_second=4, transient=True)

    def __enter__(self) -> "_Live":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        for row in [line(HEADINGS), *(line(cells(one)) for one in _worth_keeping(self._everyone))]:
            self._console.print(row, highlight=False, markup=False, soft_wrap=True)

    def report(self, progress: Progress) -> None:
        pass  # the picture is drawn from what everybody's progress says at that moment

    def begun(self, what: str, everyone: Mapping[str, Progress]) -> None:
        self._what, self._everyone = what, everyone or self._everyone
        self._console.print(f"{what}:", highlight=False, markup=False)

    def _picture(self) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        everyone = list(self._everyone.values())
        per_migration = pace(everyone)
        busy = [one for one in everyone if one.state in AT_WORK or one.state is State.FAILED]
        table = Table(*HEADINGS, box=None, pad_edge=False)
        for one in sorted(busy, key=lambda one: (one.state is not State.FAILED, -one.seconds))[:_LIVE_ROWS]:
            table.add_row(*(Text(text) for text in cells(one, per_migration)))
        ended = sum(1 for one in everyone if one.is_ended)
        left = remaining_seconds(everyone, self._workers)
        words = f" {ended} of {len(everyone)} databases, {time.monotonic() - self._began:.0f} s" + (
            f", about {left:.0f} s left" if left is not None else ""
        )
        bar = Table.grid()
        bar.add_row(ProgressBar(total=max(1, len(everyone)), completed=ended, width=40), Text(words))
        return Group(table, bar)


def _worth_keeping(everyone: Mapping[str, Progress]) -> list[Progress]:
    """All of a few; of hundreds, those that are not simply done."""
    if len(everyone) <= 40:
        return list(everyone.values())
    return [one for one in everyone.values() if one.state not in (State.DONE, State.WAITING)]
