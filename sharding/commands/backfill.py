"""``shard backfill``: change rows in batches on all databases, and say how far that is."""

import time
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management.base import OutputWrapper

from sharding import backfilling
from sharding.backfilling import Options, Progress
from sharding.commands import Failed, Subcommand, boards
from sharding.commands.boards import Column, Layout


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="the job; without it all jobs are listed")
    parser.add_argument("--workers", type=int, default=Options().workers, help="databases at the same time")
    parser.add_argument("--database", action="append", default=[], metavar="ALIAS", help="only this one; repeatable")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--status", action="store_true", help="how far each database is")
    what.add_argument("--pause", action="store_true", help="whoever is at it ends after the batch; nobody goes on")
    what.add_argument("--resume", action="store_true", help="go on with a job that was paused")
    what.add_argument("--cancel", action="store_true", help="like --pause, and forget how far it was")
    what.add_argument("--restart", action="store_true", help="forget how far it was, and begin anew")


def backfill(
    out: OutputWrapper,
    *,
    name: str | None,
    workers: int,
    database: list[str],
    status: bool,
    pause: bool,
    resume: bool,
    cancel: bool,
    restart: bool,
    verbosity: int,
    **_: Any,
) -> None:
    if name is None:
        _list(out)
        return
    job = backfilling.job(name)
    progress = backfilling.places(job, database)
    if pause:
        backfilling.want(name, "pause")
        out.write(f"{name} is paused; --resume goes on")
        return
    if cancel:
        backfilling.cancel(name, progress)
        out.write(f"{name} is cancelled; what it changed stays")
        return
    if status:
        _show(out, name, progress, workers)
        return
    if restart:
        backfilling.forget(name, progress)
    if restart or resume:
        backfilling.want(name, "run")
    _run(out, name, progress, Options(workers=workers), verbosity)


def _run(out: OutputWrapper, name: str, progress: dict[str, Progress], options: Options, verbosity: int) -> None:
    started = time.monotonic()
    with boards.shown(out, _LAYOUT, verbosity=verbosity) as board:
        backfilling.run(name, progress, options, report=board.report, begun=lambda what: board.begun(what, progress))
    failed = [one for one in progress.values() if one.error]
    for one in failed:
        out.write(f"{one.alias}: {type(one.error).__name__}: {one.error}")
    if failed:
        raise Failed(f"not filled: {', '.join(one.alias for one in failed)}") from failed[0].error
    changed = sum(one.changed for one in progress.values())
    wanted, finished_at = backfilling.wanted(name)
    how = "done" if finished_at else {"pause": "paused", "cancel": "cancelled"}.get(wanted, "not done")
    out.write(f"{how}: {changed} rows in {len(progress)} databases in {time.monotonic() - started:.1f} s")


def _show(out: OutputWrapper, name: str, progress: dict[str, Progress], workers: int) -> None:
    backfilling.status(name, progress, workers)
    everyone = list(progress.values())
    out.write(_LAYOUT.headings())
    for one in everyone:
        out.write(_LAYOUT.line(one, everyone))
    wanted, finished_at = backfilling.wanted(name)
    out.write(f"wanted: {wanted}; finished: {finished_at:%Y-%m-%d %H:%M:%S}" if finished_at else f"wanted: {wanted}")


def _list(out: OutputWrapper) -> None:
    for name, job in backfilling.jobs().items():
        wanted, finished_at = backfilling.wanted(name)
        state = f"finished {finished_at:%Y-%m-%d %H:%M:%S}" if finished_at else f"wanted: {wanted}"
        out.write(f"{name:<32} {job.model:<24} {state}")


def _rate(one: Progress, everyone: Sequence[Progress]) -> str:
    return f"{one.rate:,.0f}/s" if one.rate else ""


def _left(one: Progress, everyone: Sequence[Progress]) -> str:
    left = one.left_seconds if not one.is_ended else None
    return f"{left:.0f} s" if left is not None else ""


def _slowest(everyone: Sequence[Progress]) -> float | None:
    found = [one.left_seconds for one in everyone if one.is_at_work]
    return max((left for left in found if left is not None), default=None)


_LAYOUT: Layout[Progress] = Layout(
    (
        Column("database", 24, lambda one, _: one.alias),
        Column("keyspace", 12, lambda one, _: one.group),
        Column("state", 8, lambda one, _: str(one.state)),
        Column("round", 5, lambda one, _: str(one.position.lap), is_number=True),
        Column("looked at", 12, lambda one, _: f"{one.position.seen:,}", is_number=True),
        Column("of about", 12, lambda one, _: f"{one.position.expected:,}", is_number=True),
        Column("changed", 12, lambda one, _: f"{one.position.changed:,}", is_number=True),
        Column("rate", 10, _rate, is_number=True),
        Column("left", 8, _left, is_number=True),
    ),
    left_seconds=_slowest,
    step=lambda one: f"{one.position.seen:,} rows",
)

SUBCOMMANDS = (Subcommand("backfill", "change rows in batches, on all databases", backfill, add_arguments),)
