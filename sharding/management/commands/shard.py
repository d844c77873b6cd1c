"""``manage.py shard migrate | status``."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from django.db.migrations.loader import MigrationLoader
from django.db.utils import Error
from typing_extensions import override

from sharding import migrating, topology
from sharding.errors import ShardingError
from sharding.ids import BUCKETS


class Command(BaseCommand):
    help = "Look after all databases of the shard map together."
    requires_system_checks = []

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        commands = parser.add_subparsers(dest="what", required=True)
        migrate = commands.add_parser("migrate", help="migrate every database, keyspace by keyspace")
        migrate.add_argument("--workers", type=int, default=4, help="databases at the same time (default 4)")
        migrate.add_argument(
            "--database", action="append", default=[], metavar="ALIAS", help="only this one; repeatable"
        )
        commands.add_parser("status", help="which databases answer, and what they lack")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['what']}")(**options)
        except ShardingError as error:
            raise CommandError(str(error)) from error

    def _migrate(self, *, workers: int, database: list[str], verbosity: int, **_: Any) -> None:
        started = time.monotonic()
        groups = migrating.groups(database)
        report = self._step if verbosity > 1 else lambda progress: None
        progress = migrating.migrate([aliases for _, aliases in groups], workers=workers, report=report)
        for name, aliases in groups:
            self._line(f"{name}: {len(aliases)} database{'s' if len(aliases) > 1 else ''}")
            for alias in aliases:
                one = progress[alias]
                state = "FAILED" if one.error else f"{one.applied} applied"
                self._line(f"  {alias:<24} {state:>14} {one.seconds:8.2f} s")
        failed = [one for one in progress.values() if one.error]
        for one in failed:
            self._line(f"{one.alias}, after {one.last or 'nothing'}: {type(one.error).__name__}: {one.error}")
        if failed:
            raise CommandError(f"not migrated: {', '.join(one.alias for one in failed)}") from failed[0].error
        self._line(f"{len(progress)} databases in {time.monotonic() - started:.1f} s")

    def _step(self, progress: migrating.Progress) -> None:
        if progress.last:
            self._line(f"    {progress.alias:<22} {progress.last}")

    def _status(self, **_: Any) -> None:
        loader = MigrationLoader(None)
        self._line(f"{'database':<24} {'keyspace: buckets':<28} {'server':<8} {'answers in':>10} {'lacks':>6}")
        unreachable = []
        for alias in topology.all_aliases():
            try:
                answer = self._look(alias, loader)
            except Error as error:
                unreachable.append(alias)
                answer = f"unreachable: {str(error).splitlines()[0]}"
            self._line(f"{alias:<24} {_holds(alias):<28} {answer}")
        if unreachable:
            raise CommandError(f"unreachable: {', '.join(unreachable)}")

    def _look(self, alias: str, loader: MigrationLoader) -> str:
        with connections[alias].cursor() as cursor:
            started = time.monotonic()
            cursor.execute("SHOW server_version")
            version: str = cursor.fetchone()[0].split()[0]
            took = (time.monotonic() - started) * 1000
        return f"{version:<8} {took:>7.1f} ms {migrating.pending(alias, loader):>6}"

    def _line(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def _holds(alias: str) -> str:
    held = {
        keyspace.name: sum(1 for holder in keyspace.alias_of[:BUCKETS] if holder == alias)
        for keyspace in topology.keyspaces().values()
        if alias in keyspace.databases
    }
    return ", ".join(f"{name}: {count}" for name, count in held.items()) or "global"
