"""The embedded servers themselves: private, durable, and gone when told so."""

import os
import shutil
import signal
import stat
import time
from pathlib import Path

import psycopg
import pytest
import redis as redis_client

from deploy.local import postgres, redis
from deploy.local.layout import Layout


@pytest.fixture(scope="module")
def server():
    """Not in pytest's own folders: those are 0700 for root, and PostgreSQL runs as somebody else then."""
    folder = Layout.read().test / f"own-{os.getpid()}"
    server = postgres.start(folder / "0")
    yield server
    server.stop()
    server.remove()
    shutil.rmtree(folder)


def test_postgres_is_set_up_for_moves_and_for_a_silent_log(server):
    postgres.ensure_database(server, "shop")
    postgres.ensure_database(server, "shop")
    with psycopg.connect(server.url("shop")) as connection:
        names = ["wal_level", "data_checksums", "listen_addresses", "max_connections", "server_encoding", "fsync"]
        assert [connection.execute(f"SHOW {name}").fetchone()[0] for name in names] == [
            "logical",
            "on",
            "",
            "400",
            "UTF8",
            "on",
        ]
        connection.execute("CREATE EXTENSION vector")


def test_what_people_typed_does_not_reach_the_servers_log(server):
    with psycopg.connect(server.url("postgres")) as connection:
        connection.execute("CREATE TABLE people (email text UNIQUE CHECK (length(email) < 20))")
        connection.execute("INSERT INTO people VALUES ('canary@example.org')")
        connection.commit()
        for value in ["canary@example.org", "canary-canary-canary@example.org"]:
            with pytest.raises(psycopg.errors.IntegrityError):
                connection.execute("INSERT INTO people VALUES (%s)", [value])
            connection.rollback()
    log = server.log.read_text()
    assert log.count("violates") == 2
    assert "canary" not in log


def test_a_second_start_adopts_the_first_server(server):
    before = server.identity()
    assert postgres.start(server.directory).identity() == before


def test_committed_rows_survive_a_kill(server):
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (n int)")
        connection.execute("INSERT INTO kept SELECT generate_series(1, 100)")
    before = server.identity()
    os.kill(before.pid, signal.SIGKILL)
    while server.identity():
        time.sleep(0.01)
    assert postgres.start(server.directory).identity() != before
    with psycopg.connect(server.url("postgres")) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (100,)


def test_a_pid_file_that_names_a_stranger_is_no_obstacle(server):
    server.stop()
    assert server.identity() is None
    (server.directory / "postmaster.pid").write_text(f"{os.getpid()}\n{server.directory}\n0\n5432\n\n\n0 0\nready   \n")
    assert server.identity() is None
    assert postgres.start(server.directory).identity().pid != os.getpid()


def test_only_the_owner_can_reach_the_socket(server):
    mode = (server.sockets / postgres.SOCKET).stat().st_mode
    assert stat.S_IMODE(mode) == 0o700
    assert stat.S_IMODE(server.directory.resolve().stat().st_mode) == 0o700


def test_a_folder_with_a_long_name_gets_a_short_socket(tmp_path: Path):
    server = redis.start(tmp_path / ("long" * 30), durable=False)
    try:
        assert len(os.fsencode(server.socket)) < 107
        assert stat.S_IMODE(server.socket.parent.stat().st_mode) == 0o700
        with redis_client.Redis.from_url(server.url()) as client:
            assert client.ping() is True
    finally:
        server.stop()
        server.socket.parent.rmdir()


def test_redis_keeps_its_keys_over_a_restart(tmp_path: Path):
    server = redis.start(tmp_path / "redis")
    with redis_client.Redis.from_url(server.url()) as client:
        client.set("kept", "yes")
    first = server.identity()
    server.stop()
    assert not first.is_alive()
    redis.start(server.directory)
    try:
        with redis_client.Redis.from_url(server.url()) as client:
            assert client.get("kept") == b"yes"
    finally:
        server.stop()
