"""``shard promote``: another server for a database."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import OutputWrapper

from sharding import promotion
from sharding.commands import Failed, Subcommand
from sharding.errors import ShardingError


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("alias", help="the database")
    parser.add_argument("server", nargs="?", help="the replica that takes over; ALIAS itself to go back to it")
    parser.add_argument("--force", action="store_true", help="give up what the replica lacks, and moves going on")
    parser.add_argument("--finish", action="store_true", help="only fence the old primary, now that it is back")


def promote(out: OutputWrapper, *, alias: str, server: str | None, force: bool, finish: bool, **_: Any) -> None:
    def say(line: str) -> None:
        out.write(line)
        out.flush()

    if finish:
        if not promotion.finish(alias, say=say):
            raise Failed(f"{alias} still has a server that is not fenced")
    elif server is None:
        raise ShardingError("say which replica takes over: shard promote ALIAS REPLICA")
    else:
        promotion.promote(alias, server, force=force, say=say)


SUBCOMMANDS = (Subcommand("promote", "make a replica the primary of its database", promote, add_arguments),)
