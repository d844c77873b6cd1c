"""``shard status``: every database at one glance."""

import time
from contextlib import suppress
from typing import Any

import psycopg
from django.core.management.base import OutputWrapper
from django.db import connections
from django.db.utils import Error

from sharding import migrating, topology
from sharding.commands import Failed, Subcommand
from sharding.conf import options
from sharding.deadlines import deadline
from sharding.ids import BUCKETS


def status(out: OutputWrapper, **_: Any) -> None:
    plan = migrating.Plan()
    out.write(f"{'database':<24} {'keyspace: buckets':<28} {'server':<8} {'answers in':>10} {'lacks':>6}")
    unreachable = []
    for alias in topology.all_aliases():
        try:
            with deadline(options().deadline_seconds):
                answer = _look(alias, plan)
        except Error as error:
            unreachable.append(alias)
            answer = f"unreachable: {str(error).splitlines()[0]}"
        out.write(f"{alias:<24} {_holds(alias):<28} {answer}")
        out.flush()
    with suppress(psycopg.Error):  # said above
        if run := migrating.last_run():
            out.write(f"last migrated: {run}")
    if unreachable:
        raise Failed(f"unreachable: {', '.join(unreachable)}")


def _look(alias: str, plan: migrating.Plan) -> str:
    with connections[alias].cursor() as cursor:
        started = time.monotonic()
        cursor.execute("SHOW server_version")
        version: str = cursor.fetchone()[0].split()[0]
        took = (time.monotonic() - started) * 1000
    return f"{version:<8} {took:>7.1f} ms {len(migrating.pending(alias, plan)):>6}"


def _holds(alias: str) -> str:
    held = {
        keyspace.name: sum(1 for holder in keyspace.alias_of[:BUCKETS] if holder == alias)
        for keyspace in topology.keyspaces().values()
        if alias in keyspace.databases
    }
    return ", ".join(f"{name}: {count}" for name, count in held.items()) or "global"


SUBCOMMANDS = (Subcommand("status", "which databases answer, and what they lack", status),)
