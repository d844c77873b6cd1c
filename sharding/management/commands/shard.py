"""``manage.py shard``: what ``sharding.commands`` holds, as one command."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from typing_extensions import override

from sharding.commands import Subcommand, backfill, doctor, migrate, moves, promote, status
from sharding.errors import ShardingError

SUBCOMMANDS: tuple[Subcommand, ...] = (
    *migrate.SUBCOMMANDS,
    *backfill.SUBCOMMANDS,
    *moves.SUBCOMMANDS,
    *promote.SUBCOMMANDS,
    *status.SUBCOMMANDS,
    *doctor.SUBCOMMANDS,
)


class Command(BaseCommand):
    help = "Look after all databases of the shard map together."
    requires_system_checks = []

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        choices = parser.add_subparsers(dest="what", required=True)
        for subcommand in SUBCOMMANDS:
            subcommand.add_arguments(choices.add_parser(subcommand.name, help=subcommand.help))

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        chosen = next(subcommand for subcommand in SUBCOMMANDS if subcommand.name == options["what"])
        try:
            chosen.handle(self.stdout, **options)
        except ShardingError as error:
            raise CommandError(str(error)) from error
