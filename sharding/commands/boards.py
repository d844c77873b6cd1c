"""Showing many databases at work: a table that moves on a terminal, a line for each as it ends everywhere else."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Generic, Protocol, TypeVar

from django.core.management.base import OutputWrapper

_LIVE_ROWS = 16
_FEW = 40


class Shown(Protocol):
    """How far one database is."""

    alias: str

    @property
    def is_ended(self) -> bool: ...

    @property
    def is_at_work(self) -> bool: ...

    @property
    def is_well(self) -> bool:
        """False where somebody has to look at it."""
        ...

    @property
    def seconds(self) -> float: ...


Entry = TypeVar("Entry", bound=Shown)


@dataclass(frozen=True, slots=True)
class Column(Generic[Entry]):
    """What a table says of each database; ``cell`` is given one of them, and all."""

    heading: str
    width: int
    cell: Callable[[Entry, Sequence[Entry]], str]
    is_number: bool = False

    def fit(self, text: str) -> str:
        return text.rjust(self.width) if self.is_number else text.ljust(self.width)


@dataclass(frozen=True, slots=True)
class Layout(Generic[Entry]):
    """A table of databases, and how long they will take together."""

    columns: tuple[Column[Entry], ...]
    left_seconds: Callable[[Sequence[Entry]], float | None]
    step: Callable[[Entry], str]
    """What one does at the moment."""

    def headings(self) -> str:
        return " ".join(column.fit(column.heading) for column in self.columns).rstrip()

    def line(self, one: Entry, everyone: Sequence[Entry]) -> str:
        return " ".join(column.fit(column.cell(one, everyone)) for column in self.columns).rstrip()


@contextmanager
def shown(out: OutputWrapper, layout: Layout[Entry], *, verbosity: int) -> Iterator["_Plain[Entry] | _Live[Entry]"]:
    """The board that suits ``out``.

    ``report(database)`` is for workers, whenever one has come further; ``begun(what, everyone)`` begins a new part.
    """
    if out.isatty() and verbosity == 1 and find_spec("rich"):
        with _Live(out, layout) as live:
            yield live
    else:
        yield _Plain(out, layout, verbosity)


class _Plain(Generic[Entry]):
    """For files, pipes and people who like to scroll."""

    def __init__(self, out: OutputWrapper, layout: Layout[Entry], verbosity: int) -> None:
        self._out = out
        self._layout = layout
        self._verbosity = verbosity
        self._everyone: Sequence[Entry] = ()
        self._lock = threading.Lock()

    def report(self, progress: Entry) -> None:
        if progress.is_ended:
            self._write(self._layout.line(progress, self._everyone))
        elif self._verbosity > 1:
            self._write(f"    {progress.alias:<22} {self._layout.step(progress)}")

    def begun(self, what: str, everyone: Mapping[str, Entry]) -> None:
        self._write(f"{what}:")
        if everyone and not self._everyone:
            self._everyone = list(everyone.values())
            self._write(self._layout.headings())

    def _write(self, text: str) -> None:
        with self._lock:
            self._out.write(text)
            self._out.flush()


class _Live(Generic[Entry]):
    """For a terminal: those at work, those that failed, and how far everybody is."""

    def __init__(self, out: OutputWrapper, layout: Layout[Entry]) -> None:
        from rich.console import Console
        from rich.live import Live

        self._layout = layout
        self._began = time.monotonic()
        self._everyone: Sequence[Entry] = ()
        self._console = Console(file=out._out)  # type: ignore[arg-type]
        self._live = Live(get_renderable=self._picture, console=self._console, refresh_per_second=4, transient=True)

    def __enter__(self) -> "_Live[Entry]":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        everyone = self._everyone
        kept = everyone if len(everyone) <= _FEW else [one for one in everyone if not one.is_well]
        for row in [self._layout.headings(), *(self._layout.line(one, everyone) for one in kept)]:
            self._console.print(row, highlight=False, markup=False, soft_wrap=True)

    def report(self, progress: Entry) -> None:
        pass  # the picture is drawn from what everybody's progress says at that moment

    def begun(self, what: str, everyone: Mapping[str, Entry]) -> None:
        self._everyone = list(everyone.values()) or self._everyone
        self._console.print(f"{what}:", highlight=False, markup=False)

    def _picture(self) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        everyone = self._everyone
        busy = [one for one in everyone if one.is_at_work or not one.is_well]
        table = Table(*(column.heading for column in self._layout.columns), box=None, pad_edge=False)
        for one in sorted(busy, key=lambda one: (one.is_well, -one.seconds))[:_LIVE_ROWS]:
            table.add_row(*(Text(column.cell(one, everyone)) for column in self._layout.columns))
        ended = sum(1 for one in everyone if one.is_ended)
        left = self._layout.left_seconds(everyone)
        words = f" {ended} of {len(everyone)} databases, {time.monotonic() - self._began:.0f} s" + (
            f", about {left:.0f} s left" if left is not None else ""
        )
        bar = Table.grid()
        bar.add_row(ProgressBar(total=max(1, len(everyone)), completed=ended, width=40), Text(words))
        return Group(table, bar)
