"""``shard plan``, ``move``, ``moves``, ``rollback``, ``cleanup`` and ``verify``: buckets on their way."""

import argparse
import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import OutputWrapper
from django.core.serializers.json import DjangoJSONEncoder

from sharding import moves, topology
from sharding.commands import Failed, Subcommand
from sharding.errors import ShardingError
from sharding.moves.running import PATIENCE_SECONDS
from sharding.moves.work import Report


def plan(out: OutputWrapper, *, keyspaces: list[str], by: str, as_json: bool, **_: Any) -> None:
    plans = [moves.plan(name, "writes" if by == "writes" else "rows") for name in keyspaces or topology.keyspaces()]
    if as_json:
        out.write(json.dumps([asdict(one) | {"commands": [move.command for move in one.moves]} for one in plans]))
        return
    for one in plans:
        out.write(f"{one.keyspace}, by {one.by}:")
        for alias, share in one.before.items():
            out.write(f"  {alias:<24} {share:>7.1%} now, {one.after[alias]:>7.1%} then")
        for move in one.moves:
            out.write(f"  {move.command:<60} # about {move.rows:,} rows, {move.bytes / 1e6:,.1f} MB")
        if not one.moves:
            out.write("  nothing to move")


def _add_plan(parser: ArgumentParser) -> None:
    parser.add_argument("keyspaces", nargs="*", metavar="KEYSPACE", help="all of them by default")
    parser.add_argument("--by", choices=("rows", "writes"), default="rows", help="what shall be even (default rows)")
    parser.add_argument("--json", action="store_true", dest="as_json", help="for machines")


def move(
    out: OutputWrapper,
    *,
    keyspace: str | None,
    buckets: tuple[int, int] | None,
    source: str | None,
    target: str | None,
    resume: int | None,
    patience: float,
    **_: Any,
) -> None:
    report = _reporter(out)
    if resume is not None:
        if resume:
            _ended(out, moves.run(resume, report=report, patience=patience))
            return
        for one in moves.resume_abandoned(report=report, patience=patience):
            _ended(out, one)
        return
    if keyspace is None or buckets is None or source is None or target is None:
        raise ShardingError("say what to move: shard move KEYSPACE FIRST-LAST SOURCE TARGET, or --resume [MOVE]")
    entered = moves.start(keyspace, *buckets, source=source, target=target)
    out.write(str(entered))
    _ended(out, moves.run(entered.pk, report=report, patience=patience))


def _add_move(parser: ArgumentParser) -> None:
    parser.add_argument("keyspace", nargs="?")
    parser.add_argument("buckets", nargs="?", type=_buckets, metavar="FIRST-LAST")
    parser.add_argument("source", nargs="?")
    parser.add_argument("target", nargs="?")
    parser.add_argument(
        "--resume", nargs="?", type=int, const=0, metavar="MOVE", help="go on with a move that was interrupted, or all"
    )
    _add_patience(parser)


def _buckets(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    try:
        return int(first), int(last if dash else first)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no range of buckets; write 0-1665, or 7") from error


def show(out: OutputWrapper, *, as_json: bool, finished: bool, **_: Any) -> None:
    found = moves.status(also_finished=finished)
    if as_json:
        out.write(json.dumps([asdict(one) for one in found], cls=DjangoJSONEncoder))
        return
    for one in found:
        out.write(f"{one.id}: {one.keyspace} {one.first}-{one.last}, {one.source} to {one.target}: {one.told}")
        if one.is_abandoned:
            out.write(f"    nobody is at it: shard move --resume {one.id}, or shard rollback {one.id}")
        for line in (one.note, *(f"waits for {who}" for who in one.waits_for)):
            if line:
                out.write(f"    {line}")
    if not found:
        out.write("no moves")


def _add_show(parser: ArgumentParser) -> None:
    parser.add_argument("--finished", action="store_true", help="those that are over, too")
    parser.add_argument("--json", action="store_true", dest="as_json", help="for machines")


def rollback(out: OutputWrapper, *, move: int, patience: float, **_: Any) -> None:
    _ended(out, moves.rollback(move, report=_reporter(out), patience=patience))


def _add_rollback(parser: ArgumentParser) -> None:
    parser.add_argument("move", type=int)
    _add_patience(parser)


def cleanup(out: OutputWrapper, *, move: int | None, now: bool, patience: float, **_: Any) -> None:
    chosen = [one.pk for one in moves.due_for_cleanup()] if move is None else [move]
    for one in chosen:
        _ended(out, moves.cleanup(one, now=now, report=_reporter(out), patience=patience))


def _add_cleanup(parser: ArgumentParser) -> None:
    parser.add_argument("move", type=int, nargs="?", help="all whose time is over, by default")
    parser.add_argument("--now", action="store_true", help="though it could still be undone")
    _add_patience(parser)


def verify(out: OutputWrapper, *, database: list[str], move: int | None, **_: Any) -> None:
    found = moves.compare(move) if move is not None else moves.verify(database or None)
    for one in found:
        out.write(f"{one.alias}: {one.text}")
    if found:
        raise Failed(f"{len(found)} things are not as they should be")
    out.write("both copies are alike" if move is not None else "everything is where the map says")


def _add_verify(parser: ArgumentParser) -> None:
    parser.add_argument("--database", action="append", default=[], metavar="ALIAS", help="only this one; repeatable")
    parser.add_argument("--move", type=int, help="compare its two copies, bucket by bucket")


def _add_patience(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--patience",
        type=float,
        default=PATIENCE_SECONDS,
        metavar="SECONDS",
        help=f"how long to wait for writers or the directory before stopping (default {PATIENCE_SECONDS:.0f})",
    )


def _reporter(out: OutputWrapper) -> Report:
    def report(text: str) -> None:
        out.write(f"  {text}")
        out.flush()

    return report


def _ended(out: OutputWrapper, move: Any) -> None:
    out.write(f"{move}: {move.phase}")


SUBCOMMANDS = (
    Subcommand("plan", "what to move, so that databases carry alike", plan, _add_plan),
    Subcommand("move", "move buckets to another database while they are used", move, _add_move),
    Subcommand("moves", "how far moves have come", show, _add_show),
    Subcommand("rollback", "undo a move, and keep what was written meanwhile", rollback, _add_rollback),
    Subcommand("cleanup", "delete the old copy of a move", cleanup, _add_cleanup),
    Subcommand("verify", "is every row where the map says? are copies alike?", verify, _add_verify),
)
