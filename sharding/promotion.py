"""Making a replica the primary of its database, so that the old one accepts nothing any more, wherever it is.

The directory's map is changed first, so that from then on nobody is told to go to the old primary. If that answers it
is fenced (read-only, its sessions ended) and the replica replays its last word: nothing is lost, and writers wait for
about a second. If it does not answer, nobody may go by the old map for longer than a lease: one lease and one deadline
later the replica takes over, without what it had not received.

Every step can be done again; a promotion that was interrupted is finished by starting it anew. The connections need a
role that may ALTER SYSTEM, end other sessions and call ``pg_promote``.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

import psycopg
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.postgresql import base

from sharding import directory, names, primaries, topology
from sharding.backend.connections import Connection
from sharding.breakers import Breaker
from sharding.conf import options
from sharding.errors import ShardingError, ShardUnavailable, first_line
from sharding.primaries import FOLLOWS

Say = Callable[[str], object]

CATCH_UP_SECONDS = 10.0
BEHIND_BYTES = 64 << 20
"""A replica that lacks more is worth a look."""
STEP_SECONDS = 2.0
"""How long a server may take for a step before it counts as away."""
PROMOTE_SECONDS = 60
NO_ANSWER = (psycopg.Error, ShardUnavailable)

_SESSIONS = "FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
_WRITTEN = "SELECT pg_current_wal_insert_lsn() - '0/0'"
_REPLAYED = "SELECT pg_last_wal_replay_lsn() - '0/0'"


def promote(alias: str, server: str, *, force: bool = False, say: Say = lambda line: None) -> None:
    """Make the server of the entry ``server`` the primary of ``alias``.

    ``server`` is one of the replicas of ``alias``, or ``alias`` itself to go back once it follows again. ``force``
    gives up what the replica lacks, and moves that are going on. Raises ``ShardingError`` with what to do, and
    ``DirectoryUnavailable``.
    """
    rivals = _rivals(alias, server)
    with _claimed(server) as chosen:
        timeline, _ = primaries.standing(chosen.cursor())
        shard_map = directory.read()
        is_named = shard_map.address_of(alias) == server
        if timeline == FOLLOWS:
            leading, silent = _survey(rivals)
            if not (is_named or force):
                _check_moves(alias, shard_map)
                _check_distance(server, chosen, leading)
            if not is_named:
                shard_map = directory.change(
                    lambda before: replace(before, primaries=before.primaries_with(alias, server)),
                    f"{server} becomes the primary of {alias}",
                )
            say(f"map {shard_map.epoch} names {server} as the primary of {alias}")
            _depose(server, chosen, leading, silent, force=force, say=say)
            chosen.execute("SELECT pg_promote(true, %s)", [PROMOTE_SECONDS])
            chosen.execute("ALTER SYSTEM RESET default_transaction_read_only")  # it may have been deposed before
            chosen.execute("SELECT pg_reload_conf()")
            say(f"{server} has taken over")
        elif not is_named:
            raise ShardingError(f"{server} follows nobody, so it lacks what {alias} was told; make it a replica first")
    finish(alias, say=say)


def finish(alias: str, *, say: Say = lambda line: None) -> bool:
    """Fence every deposed primary of ``alias`` that can be reached; says whether none is left. Harmless to repeat."""
    server = directory.read().address_of(alias)
    try:
        with _reached(server) as leader:
            timeline, _ = primaries.standing(leader.cursor())
    except NO_ANSWER as error:
        raise ShardingError(f"{server}, which leads, does not answer: {first_line(error)}; start it first") from error
    if timeline == FOLLOWS:
        raise ShardingError(f"{server} has not taken over yet; run shard promote {alias} {server}")
    is_finished = True
    for rival in _rivals(alias, server):
        try:
            with _reached(rival) as connection:
                theirs, _ = primaries.standing(connection.cursor())
                if theirs >= timeline:
                    raise ShardingError(f"{rival} leads too, by timeline {theirs}; look which of them is right")
                if theirs != FOLLOWS:
                    _fence(connection)
            say(f"{rival} {'follows' if theirs == FOLLOWS else 'is fenced; make it a replica of ' + server}")
        except NO_ANSWER as error:
            say(f"{rival} does not answer ({first_line(error)}); when it is back: shard promote {alias} --finish")
            is_finished = False
    return is_finished


def findings(alias: str) -> Iterator[tuple[Literal["error", "warning"], str, str]]:
    """How severe, what is wrong with the replicas of ``alias``, and what to do. Three queries to each server."""
    servers = (alias, *options().replicas.get(alias, ()))
    if len(servers) == 1:
        return
    leader = primaries.address_of(alias)
    try:
        with _reached(leader) as connection:
            timeline, _ = primaries.standing(connection.cursor())
            written = _position(connection, _WRITTEN) if timeline != FOLLOWS else 0
    except NO_ANSWER:
        return  # the database's own findings say so
    if timeline == FOLLOWS:
        yield "error", f"{leader}, its primary by the map, has not taken over", f"shard promote {alias} {leader}"
        return
    for server in servers:
        if server == leader:
            continue
        try:
            with _reached(server) as connection:
                theirs, _ = primaries.standing(connection.cursor())
                behind = written - _position(connection, _REPLAYED) if theirs == FOLLOWS else 0
                is_fenced = connection.execute("SHOW default_transaction_read_only").fetchone() == ("on",)
        except NO_ANSWER as error:
            yield "warning", f"{server} does not answer: {first_line(error)}", "start it, or make a new replica"
            continue
        if theirs == FOLLOWS:
            if behind > BEHIND_BYTES:
                yield "warning", f"{server} is {behind:,} bytes behind", "see in its log why it does not follow"
        elif theirs >= timeline:
            yield "error", f"{server} leads too, by timeline {theirs}", "stop the wrong one of the two"
        elif not is_fenced:
            yield "error", f"{server} was deposed and would accept writes", f"shard promote {alias} --finish"
        else:
            yield "warning", f"{server} was deposed and follows nobody", f"make it a replica of {leader}"


def _rivals(alias: str, server: str) -> list[str]:
    servers = (alias, *options().replicas.get(alias, ()))
    if alias == DEFAULT_DB_ALIAS:
        raise ShardingError(f"{alias} holds the directory, which cannot move itself; change its address in DATABASES")
    if len(servers) == 1 or server not in servers:
        raise ShardingError(f'{server} is no replica of {alias}; settings.SHARDING["REPLICAS"] says which there are')
    here = _place(topology.current().address_of(alias))
    beside = [
        one for one in topology.all_aliases() if one != alias and _place(topology.current().address_of(one)) == here
    ]
    if beside:
        raise ShardingError(
            f"{alias} shares its server with {', '.join(beside)}, and replicas are of whole servers; move it to its own"
        )
    return [one for one in servers if one != server]


def _place(address: str) -> tuple[Any, Any]:
    described = connections.settings[address]
    return described["HOST"], described["PORT"]


def _survey(rivals: list[str]) -> tuple[dict[str, int], dict[str, str]]:
    """Which of them lead, with up to where they have written, and which do not answer, with why."""
    leading, silent = {}, {}
    for rival in rivals:
        try:
            with _reached(rival) as connection:
                if primaries.standing(connection.cursor())[0] != FOLLOWS:
                    leading[rival] = _position(connection, _WRITTEN)
        except NO_ANSWER as error:
            silent[rival] = first_line(error)
    return leading, silent


def _check_moves(alias: str, shard_map: topology.ShardMap) -> None:
    moving = [name for name, keyspace in shard_map.keyspaces.items() if keyspace.only(alias) is not None]
    if moving:
        raise ShardingError(
            f"buckets of {', '.join(moving)} are being moved to or from {alias}, and a move does not survive; "
            "finish it or roll it back, or say --force"
        )


def _check_distance(server: str, chosen: Connection, leading: dict[str, int]) -> None:
    """Before anything is changed: a replica that is cut off from a primary at work lacks what that goes on doing."""
    for rival, written in leading.items():
        if not _replayed(chosen, written):
            raise ShardingError(
                f"{server} is {written - _position(chosen, _REPLAYED):,} bytes behind {rival} and does not catch up; "
                "see why it does not follow, or say --force to lose them"
            )


def _depose(
    server: str, chosen: Connection, leading: dict[str, int], silent: dict[str, str], *, force: bool, say: Say
) -> None:
    silent = dict(silent)
    for rival in leading:
        try:
            with _reached(rival) as connection:
                written = _fence(connection)
        except NO_ANSWER as error:
            silent[rival] = first_line(error)
            continue
        say(f"{rival} accepts nothing any more")
        if not force and not _replayed(chosen, written):
            raise ShardingError(
                f"{server} has not replayed all of {rival}, which is fenced; run this again, or say --force to lose it"
            )
    if silent:
        seconds = options().lease_seconds + options().deadline_seconds
        reasons = "; ".join(f"{rival} does not answer: {reason}" for rival, reason in silent.items())
        say(f"{reasons}; waiting {seconds:.1f} s, until nobody goes by the old map")
        time.sleep(seconds)


def _fence(connection: Connection) -> int:
    """Make the server read-only for good, end its sessions, and say up to where it has written."""
    loaded = connection.execute("SELECT pg_conf_load_time()").fetchone()
    connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
    connection.execute("SELECT pg_reload_conf()")
    # Who comes in once we have read the new configuration has it too; all who were there before are sent away.
    _wait(lambda: connection.execute("SELECT pg_conf_load_time()").fetchone() != loaded, STEP_SECONDS)
    connection.execute(f"SELECT pg_terminate_backend(pid) {_SESSIONS}")
    old = [pid for (pid,) in connection.execute(f"SELECT pid {_SESSIONS}")]
    ended = f"SELECT NOT EXISTS (SELECT {_SESSIONS} AND pid = ANY(%s))"
    _wait(lambda: bool(connection.execute(ended, [old]).fetchone()[0]), STEP_SECONDS)  # type: ignore[index]
    return _position(connection, _WRITTEN)


def _replayed(chosen: Connection, written: int) -> bool:
    return _wait(lambda: _position(chosen, _REPLAYED) >= written, CATCH_UP_SECONDS)


def _position(connection: Connection, question: str) -> int:
    return int(connection.execute(question).fetchone()[0])  # type: ignore[index]


def _wait(holds: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


@contextmanager
def _claimed(server: str) -> Iterator[Connection]:
    """A connection to the server that keeps others from promoting it, and tells who asks that it is about to happen."""
    try:
        with _reached(server, seconds=PROMOTE_SECONDS) as connection:
            lock = [names.ADVISORY_CLASS, names.PROMOTION_LOCK]
            if not connection.execute("SELECT pg_try_advisory_lock(%s, %s)", lock).fetchone()[0]:  # type: ignore[index]
                raise ShardingError(f"somebody else is promoting {server}; wait for them")
            yield connection
    except NO_ANSWER as error:
        raise ShardingError(f"{server} cannot be promoted: {first_line(error)}; see that it answers") from error


@contextmanager
def _reached(server: str, *, seconds: float = STEP_SECONDS) -> Iterator[Connection]:
    """A connection to the very server of that entry, whatever the map says."""
    parameters = base.DatabaseWrapper.get_connection_params(connections[server])
    wanted = {name: value for name, value in parameters.items() if name not in ("cursor_factory", "context")}
    with Connection.connect(**{**wanted, "connect_timeout": 2, "autocommit": True}) as connection:
        yield connection.guard(server, seconds, Breaker(server))
