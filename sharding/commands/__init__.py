"""What ``manage.py shard`` can do, a module for each subject.

A module says it in ``SUBCOMMANDS``; ``management/commands/shard.py`` gathers those and turns a ``ShardingError``
into the message that the command ends with.
"""

from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass

from sharding.errors import ShardingError


@dataclass(frozen=True, slots=True)
class Subcommand:
    """``manage.py shard NAME``."""

    name: str
    help: str
    handle: Callable[..., None]
    """Called with the stream to write to, then with every option of the command line as a keyword."""
    add_arguments: Callable[[ArgumentParser], None] = lambda parser: None


class Failed(ShardingError):
    """What was asked for could not be done everywhere; what there is to say has been written."""
