"""``shard migrate``: bring every database up to date."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import OutputWrapper

from sharding import migrating
from sharding.commands import Failed, Subcommand


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, default=4, help="databases at the same time (default 4)")
    parser.add_argument("--database", action="append", default=[], metavar="ALIAS", help="only this one; repeatable")


def migrate(out: OutputWrapper, *, workers: int, database: list[str], verbosity: int, **_: Any) -> None:
    started = time.monotonic()
    groups = migrating.groups(database)

    def report(progress: migrating.Progress) -> None:
        if progress.last and verbosity > 1:
            out.write(f"    {progress.alias:<22} {progress.last}")
            out.flush()

    progress = migrating.migrate([aliases for _, aliases in groups], workers=workers, report=report)
    for name, aliases in groups:
        out.write(f"{name}: {len(aliases)} database{'s' if len(aliases) > 1 else ''}")
        for alias in aliases:
            one = progress[alias]
            state = "FAILED" if one.error else f"{one.applied} applied"
            out.write(f"  {alias:<24} {state:>14} {one.seconds:8.2f} s")
    failed = [one for one in progress.values() if one.error]
    for one in failed:
        out.write(f"{one.alias}, after {one.last or 'nothing'}: {type(one.error).__name__}: {one.error}")
    if failed:
        raise Failed(f"not migrated: {', '.join(one.alias for one in failed)}") from failed[0].error
    out.write(f"{len(progress)} databases in {time.monotonic() - started:.1f} s")


SUBCOMMANDS = (Subcommand("migrate", "migrate every database, keyspace by keyspace", migrate, add_arguments),)
