"""A server that says nothing: frozen, not stopped, so that no packet and no signal tells its clients."""

import asyncio
import threading
import time
from contextlib import ExitStack, contextmanager

import psycopg
import pytest
from django.db import close_old_connections, connections, transaction
from django.db.migrations.recorder import MigrationRecorder

import sharding
from deploy.local import faults
from sharding import breakers, deadlines, directory
from sharding.errors import DirectoryUnavailable
from tests.sharding import servers
from tests.sharding.servers import at_most, until

ALIAS = "victim"
DEADLINE = 0.5
Row = MigrationRecorder.Migration
"""A model whose table is easily made."""


@pytest.fixture(scope="module")
def server():
    with servers.server("deadlines") as found:
        with psycopg.connect(found.url("postgres"), autocommit=True) as connection:
            connection.execute("CREATE TABLE note (text text)")
            connection.execute("CREATE TABLE django_migrations (id int, app text, name text, applied timestamptz)")
            connection.execute(
                "INSERT INTO django_migrations SELECT n, 'a', 'b', now() FROM generate_series(1, 9000) n"
            )
        yield found


@pytest.fixture
def database(server, django_db_blocker, settings):
    """Django's connection to the server, just made; statements have half a second."""
    settings.SHARDING = {**settings.SHARDING, "DEADLINE_SECONDS": DEADLINE}
    with ExitStack() as stack:
        stack.enter_context(django_db_blocker.unblock())
        stack.enter_context(servers.alias(ALIAS, server.url("postgres")))
        connection = connections[ALIAS]
        connection.ensure_connection()
        execute("TRUNCATE note")
        stack.callback(faults.thaw, server)
        yield connection


def execute(sql, params=()):
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall() if cursor.description else None


def backend():
    return execute("SELECT pg_backend_pid()")[0][0]


@contextmanager
def answers():
    """How many the server has given since, to whatever was asked."""
    given = []
    connections[ALIAS].connection.observe = given.append
    yield lambda: len(given)


def notes():
    return [text for (text,) in execute("SELECT text FROM note ORDER BY text")]


# A frozen server


def test_a_frozen_server_is_answered_for_in_time_and_asked_again_once_it_is_back(server, database):
    with faults.frozen(server):
        with at_most(DEADLINE), pytest.raises(sharding.DeadlineExceeded, match=r"^victim: no answer within 0\.5 s$"):
            execute("SELECT 1")
        assert database.connection is None or database.connection.closed
        with at_most(DEADLINE), pytest.raises(sharding.DeadlineExceeded, match="connecting took too long"):
            execute("SELECT 1")
        assert breakers.state(ALIAS) == "open"
        with at_most(0), pytest.raises(sharding.ShardUnavailable, match="left alone"):
            execute("SELECT 1")
    breakers.reset()
    assert execute("SELECT 1") == [(1,)]


def test_without_a_word_it_is_two_seconds(server, database, settings):
    settings.SHARDING = {name: value for name, value in settings.SHARDING.items() if name != "DEADLINE_SECONDS"}
    database.close()
    database.ensure_connection()
    with faults.frozen(server), at_most(2), pytest.raises(sharding.DeadlineExceeded, match=r"within 2\.0 s"):
        execute("SELECT 1")


def test_inside_a_transaction_leaving_it_waits_no_second_time(server, database):
    with at_most(DEADLINE), pytest.raises(sharding.DeadlineExceeded, match="no answer"):
        with transaction.atomic(ALIAS), transaction.atomic(ALIAS):
            execute("INSERT INTO note VALUES ('lost')")
            faults.freeze(server)
            execute("SELECT 1")
    faults.thaw(server)
    assert database.connection is None
    with transaction.atomic(ALIAS):
        assert notes() == []


def test_who_goes_on_inside_the_transaction_hears_what_became_of_it(server, database):
    with pytest.raises(sharding.ShardUnavailable, match=r"lost before COMMIT; its transaction is undone"):
        with transaction.atomic(ALIAS):
            execute("INSERT INTO note VALUES ('lost')")
            with faults.frozen(server), pytest.raises(sharding.DeadlineExceeded):
                execute("SELECT 1")
            with pytest.raises(sharding.ShardUnavailable, match=r"the connection was lost; its transaction is undone"):
                execute("SELECT 1")
    assert notes() == []


def test_a_commit_without_an_answer_says_that_nobody_knows(server, database):
    with (
        at_most(DEADLINE),
        pytest.raises(sharding.DeadlineExceeded, match="during COMMIT: whether it was done is unkn"),
    ):
        with transaction.atomic(ALIAS):
            execute("INSERT INTO note VALUES ('sent')")
            faults.freeze(server)
    faults.thaw(server)
    until(lambda: notes() == ["sent"])  # it lay in the server's socket all the time


def test_a_commit_that_waits_for_a_standby_is_not_cancelled_into_a_yes(server, database):
    execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    execute("SELECT pg_reload_conf()")
    until(lambda: execute("SHOW synchronous_standby_names") == [("nobody",)])
    execute("CHECKPOINT")  # it is the checkpointer that tells the others, once it has read the setting
    try:
        with at_most(DEADLINE), pytest.raises(sharding.DeadlineExceeded, match="unknown"):
            with transaction.atomic(ALIAS):
                execute("SET LOCAL synchronous_commit = 'on'")
                execute("INSERT INTO note VALUES ('one')")
    finally:
        execute("ALTER SYSTEM RESET synchronous_standby_names")
        execute("SELECT pg_reload_conf()")


def test_copying_in(server, database):
    with at_most(DEADLINE), pytest.raises(sharding.DeadlineExceeded):
        with connections[ALIAS].cursor() as cursor, cursor.copy("COPY note FROM STDIN") as copy:
            faults.freeze(server)
            for _ in range(5_000):  # more than a socket holds
                copy.write("x" * 1000 + "\n")
    faults.thaw(server)
    breakers.reset()
    assert notes() == []


def test_copying_out(server, database):
    with at_most(DEADLINE), pytest.raises(sharding.DeadlineExceeded):
        with connections[ALIAS].cursor() as cursor:
            with cursor.copy("COPY (SELECT generate_series(1, 3000000)) TO STDOUT") as copy:
                faults.freeze(server)
                for _ in copy:
                    pass


def test_a_cursor_on_the_server(server, database):
    rows = Row.objects.using(ALIAS).order_by("id").iterator(chunk_size=1000)
    assert next(rows).id == 1
    with faults.frozen(server), at_most(DEADLINE), pytest.raises(sharding.DeadlineExceeded):
        list(rows)


def test_the_async_orm(server, database):
    async def ask():
        return await Row.objects.using(ALIAS).acount()

    async def hurried():
        with sharding.deadline(0.2):
            return await Row.objects.using(ALIAS).acount()

    assert asyncio.run(ask()) == 9000
    with faults.frozen(server):
        with at_most(0.2), pytest.raises(sharding.DeadlineExceeded, match=r"within 0\.2 s"):
            asyncio.run(hurried())
    breakers.reset()
    assert asyncio.run(ask()) == 9000


def test_the_directory(server, database, monkeypatch):
    monkeypatch.setattr(directory, "DEFAULT_DB_ALIAS", ALIAS)
    with directory.connect() as connection, at_most(DEADLINE):
        faults.freeze(server)
        with pytest.raises(sharding.DeadlineExceeded):
            directory.newest(connection)
    with at_most(2), pytest.raises(DirectoryUnavailable, match="the directory does not answer"):
        directory.read()


@pytest.mark.parametrize("was_in_trouble", [False, True])
def test_a_kept_connection_is_not_asked_twice(server, database, was_in_trouble):
    """Its health check, or the statement, meets the silence; making a new connection would meet it once more."""
    if was_in_trouble:
        with pytest.raises(Exception, match="does not exist"):
            execute("SELECT * FROM nothing")
    close_old_connections()
    with faults.frozen(server), at_most(DEADLINE), pytest.raises(sharding.DeadlineExceeded):
        execute("SELECT 1")


def test_a_kept_connection_that_is_well_is_not_asked_how_it_is(server, database):
    execute("SELECT 1")
    for expected in (1, 1):
        close_old_connections()
        with answers() as count:
            execute("SELECT 1")
        assert count() == expected


def test_a_kept_connection_on_which_something_failed_is_asked_once(server, database):
    mine = backend()
    with pytest.raises(Exception, match="does not exist"):
        execute("SELECT * FROM nothing")
    for expected in (2, 1):
        close_old_connections()
        with answers() as count:
            execute("SELECT 1")
        assert count() == expected
    assert backend() == mine


def test_a_connection_that_the_server_cut_is_replaced_unnoticed(server, database):
    mine = backend()
    with psycopg.connect(server.url("postgres"), autocommit=True) as other:
        assert other.execute("SELECT pg_terminate_backend(%s, 5000)", [mine]).fetchone() == (True,)
    close_old_connections()
    execute("SELECT 1")
    assert backend() != mine


def test_a_request_begins_and_ends_without_asking(server, database):
    with pytest.raises(Exception, match="does not exist"):
        execute("SELECT * FROM nothing")
    assert database.errors_occurred
    with faults.frozen(server), at_most(0, tolerance=0.1):
        close_old_connections()
    mine = backend()
    execute("SELECT 1")
    assert backend() == mine


# A slow statement


def test_a_slow_statement_is_cancelled_and_the_connection_stays(server, database):
    mine = backend()
    with at_most(DEADLINE), pytest.raises(sharding.DeadlineExceeded, match=r"longer than 0\.5 s and was cancelled"):
        execute("SELECT pg_sleep(5)")
    assert backend() == mine
    assert breakers.of(ALIAS).suspect == 0


def test_a_wait_for_a_lock_is_cancelled_and_the_savepoint_holds(server, database):
    with psycopg.connect(server.url("postgres")) as holder:
        holder.execute("LOCK TABLE note")
        with transaction.atomic(ALIAS):
            with pytest.raises(sharding.DeadlineExceeded, match="cancelled"), transaction.atomic(ALIAS):
                execute("SELECT * FROM note")
            holder.rollback()
            execute("INSERT INTO note VALUES ('kept')")
    assert notes() == ["kept"]


def test_a_statement_whose_client_has_gone_does_not_go_on(server, database):
    gone = psycopg.connect(server.url("postgres"), autocommit=True)
    pid = gone.info.backend_pid
    gone.pgconn.send_query(b"SELECT pg_sleep(60)")
    gone.close()
    until(lambda: execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid]) == [], seconds=4)


# How long


def test_a_block_has_one_end_for_all_its_statements(server, database):
    with at_most(0.9), pytest.raises(sharding.DeadlineExceeded), sharding.deadline(0.9):
        for _ in range(10):
            execute("SELECT pg_sleep(0.2)")


def test_a_block_may_last_longer_than_a_statement_otherwise_may(server, database):
    with sharding.deadline(3):
        execute("SELECT pg_sleep(0.7)")
    with sharding.deadline(None):
        execute("SELECT pg_sleep(0.7)")


def test_an_inner_block_ends_no_later_than_the_outer_and_none_lifts_both():
    with sharding.deadline(10):
        with sharding.deadline(99):
            assert 9.9 < deadlines.left(1) <= 10
        with sharding.deadline(5):
            assert 4.9 < deadlines.left(1) <= 5
        with sharding.deadline(None):
            assert deadlines.left(1) is None
            with sharding.deadline(99):
                assert 98.9 < deadlines.left(1) <= 99
        assert 9.9 < deadlines.left(1) <= 10
    assert deadlines.left(1) == 1


def test_after_the_end_nothing_is_sent_and_the_connection_stays(server, database):
    mine = backend()
    with sharding.deadline(0.01):
        time.sleep(0.02)
        with pytest.raises(sharding.DeadlineExceeded, match="was not sent"):
            execute("INSERT INTO note VALUES ('late')")
    assert backend() == mine
    assert notes() == []


def test_a_patient_process_waits_except_where_it_says_otherwise(server, database, monkeypatch):
    monkeypatch.setattr(deadlines, "_is_patient", False)
    deadlines.be_patient()
    database.close()
    execute("SELECT pg_sleep(0.7)")
    with pytest.raises(sharding.DeadlineExceeded), sharding.deadline(0.2):
        execute("SELECT pg_sleep(0.7)")


# A connection that is cut


def test_a_cut_connection_is_replaced_at_the_next_use(server, database):
    with psycopg.connect(server.url("postgres"), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [backend()])
        with pytest.raises(sharding.ShardUnavailable, match=r"the connection was lost .*terminating connection"):
            execute("SELECT 1")
        assert breakers.of(ALIAS).suspect == 0
        assert execute("SELECT 1") == [(1,)]

        with pytest.raises(sharding.ShardUnavailable, match="lost during COMMIT: whether it was done is unknown"):
            with transaction.atomic(ALIAS):
                execute("INSERT INTO note VALUES ('cut')")
                other.execute("SELECT pg_terminate_backend(%s)", [backend()])
    assert notes() == []


def test_a_listener_waits_as_long_as_it_says(server, database):
    execute("LISTEN news")
    heard = []

    def listen():
        heard.extend(database.connection.notifies(timeout=DEADLINE * 2, stop_after=1))

    listener = threading.Thread(target=listen)
    listener.start()
    time.sleep(DEADLINE * 1.4)
    with psycopg.connect(server.url("postgres"), autocommit=True) as other:
        other.execute("NOTIFY news, 'map'")
    listener.join()
    assert [one.payload for one in heard] == ["map"]
