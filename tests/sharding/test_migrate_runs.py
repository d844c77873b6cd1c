"""One run at a time, a canary first, and nothing lost when it is killed."""

import re
import signal
import time
from collections.abc import Iterator
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connections

import sharding
from sharding import ShardingError, migrating
from sharding.migrating import AlreadyRunning, Plan, State, canaries, last_run
from sharding.migrating.indexes import NameTaken
from sharding.migrating.ledger import Ledger
from tests.sharding import dying
from tests.sharding.conftest import OTHER
from tests.sharding.releases import (
    NEWEST,
    Release,
    columns,
    copies,
    everything,
    execute,
    migrate,
    orders,
    recorded,
    release,
    rows,
    unfinished,
)

__all__ = ["release"]

FIRST, *_, LAST = sharding.aliases("customer")
STORE, *_, LAST_STORE = sharding.aliases("store")
COLUMN = 'AddField("order", "gift_note", models.TextField(null=True))'
MEMO = 'AddField("memo", "read_at", models.DateTimeField(null=True))'
INDEX = 'AddIndexConcurrently("order", models.Index(fields=["total"], name="shop_by_total"))'
CHECK = 'AddConstraintNotValid("order", models.CheckConstraint(condition=models.Q(total__gte=0), name="shop_positive"))'


@pytest.fixture(autouse=True)
def unblocked(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock():
        yield
        connections.close_all()


def states(progress: dict[str, Any]) -> dict[str, State]:
    return {alias: one.state for alias, one in progress.items()}


def told(*aliases: str, **options: Any) -> tuple[list[str], dict[str, Any]]:
    """The headlines of a run, and how it ended."""
    said: list[str] = []
    found = migrating.migrate(
        migrating.groups(aliases), migrating.Options(**options), begun=lambda what, everyone: said.append(what)
    )
    return said, found


# The canary.


def test_one_of_each_keyspace_goes_first(release: Release):
    release.add(MEMO)
    with copies(FIRST, LAST, STORE, LAST_STORE):
        said, found = told(FIRST, LAST, STORE, LAST_STORE)
        assert said[-3:] == [f"{FIRST} goes first", f"{STORE} goes first", "the others"]
        assert states(found) == dict.fromkeys((FIRST, LAST, STORE, LAST_STORE), State.DONE)
        assert [alias for alias, one in found.items() if one.is_canary] == [FIRST, STORE]
        said, _ = told(FIRST, LAST, STORE, LAST_STORE)
        assert said == ["all"]  # nothing is lacking, so nobody has to go first


def test_the_canary_may_be_named_or_left_out(release: Release):
    release.add(MEMO)
    with copies(FIRST, LAST):
        said, _ = told(FIRST, LAST, canaries=[LAST])
        assert said[-2:] == [f"{LAST} goes first", "the others"]
    with copies(FIRST, LAST):
        said, _ = told(FIRST, LAST, canary=False)
        assert said[-1:] == ["all"]


def test_what_fails_on_the_canary_is_not_tried_on_the_others(release: Release):
    release.add(MEMO)
    release.add(COLUMN)
    with copies(FIRST, LAST, STORE):
        execute(FIRST, "ALTER TABLE shop_order ADD COLUMN gift_note int")
        before = {alias: everything(alias) for alias in (LAST, STORE)}
        found = migrate(FIRST, LAST, STORE)
        assert states(found) == {FIRST: State.FAILED, LAST: State.WAITING, STORE: State.WAITING}
        assert "already exists" in str(found[FIRST].error)
        assert recorded(FIRST) == ["release_1"]
        assert {alias: everything(alias) for alias in (LAST, STORE)} == before


def test_a_canary_that_the_code_cannot_read_stops_the_others(release: Release):
    release.add('RunSQL("ALTER TABLE shop_order DROP COLUMN code", hints={"keyspace": "customer"})')
    with copies(FIRST, LAST):
        found = migrate(FIRST, LAST, unsafe="to see it break")
        assert states(found) == {FIRST: State.FAILED, LAST: State.WAITING}
        assert str(found[FIRST].error).startswith(
            f"{FIRST} went first and is not sound: shop.Order cannot be read: column shop_order.code does not exist"
        )
        assert "code" in columns(LAST, "shop_order")


def test_a_canary_is_looked_at_closely():
    with copies(LAST):
        canaries.check(Plan(), LAST, [])
        ((trigger,),) = rows(
            LAST, "SELECT tgname FROM pg_trigger WHERE tgrelid = 'shop_order'::regclass AND tgname LIKE 'sharding_g%'"
        )
        execute(LAST, f"DROP TRIGGER {trigger} ON shop_order")
        execute(LAST, "INSERT INTO shop_memo (text) VALUES ('a'), ('a')")
        with pytest.raises(Exception, match="could not create unique index"):
            execute(LAST, "CREATE UNIQUE INDEX CONCURRENTLY memo_once ON shop_memo (text)")
        execute(LAST, "DELETE FROM django_migrations WHERE app = 'shop' AND name <> '0001_initial'")
        with pytest.raises(canaries.CanaryFailed) as refusal:
            canaries.check(Plan(), LAST, [])
    assert str(refusal.value) == (
        f"{LAST} went first and is not sound: lacks shop.{NEWEST}; table shop_order lacks {trigger}; "
        "index memo_once is invalid; the others were left alone"
    )


def test_a_failure_among_the_others_stops_who_has_not_begun(release: Release):
    release.add(MEMO)
    with copies(FIRST, LAST, STORE, LAST_STORE):
        execute(LAST, "ALTER TABLE shop_memo ADD COLUMN read_at int")
        found = migrate(FIRST, LAST, STORE, LAST_STORE, workers=1)
        assert states(found) == {
            FIRST: State.DONE,
            STORE: State.DONE,
            LAST: State.FAILED,
            LAST_STORE: State.WAITING,
        }
        assert recorded(LAST_STORE) == []


# One at a time, and again.


def test_a_second_run_is_refused_and_told_who_is_at_it():
    with Ledger() as ledger:
        number = ledger.begin("plan", "")
        with pytest.raises(AlreadyRunning, match=rf"already migrating: run {number} by \S+:\d+ of .*, session \d+"):
            migrate(LAST)
        with pytest.raises(CommandError, match="already migrating: run"):
            call_command("shard", "migrate", stdout=StringIO())
        ledger.end("done")
    assert states(migrate(LAST)) == {LAST: State.DONE}


def test_a_run_that_did_not_end_is_noticed():
    with Ledger() as ledger:
        number = ledger.begin("plan", "")
    said, _ = told(LAST)
    assert said[0].startswith(f"the last one did not end well: run {number} by ")
    assert ": interrupted, " in said[0]
    run = last_run()
    assert run is not None
    assert (run.id, run.outcome, run.databases, run.done) == (number + 1, "done", 1, 1)


def test_resuming_spares_the_canary_that_was_sound(release: Release):
    release.add(COLUMN)
    with copies(FIRST, LAST, STORE):
        execute(LAST, "ALTER TABLE shop_order ADD COLUMN gift_note int")
        assert states(migrate(FIRST, LAST, workers=1)) == {FIRST: State.DONE, LAST: State.FAILED}
        execute(LAST, "ALTER TABLE shop_order DROP COLUMN gift_note")
        said, found = told(resume=True)
        assert said[0].startswith("the last one did not end well: run")
        assert said[1:] == ["all"]  # only its two databases, nobody first
        assert states(found) == {FIRST: State.DONE, LAST: State.DONE}
        assert everything(LAST) == everything(FIRST)
        with pytest.raises(ShardingError, match="there is nothing to resume: the last run came to its end"):
            told(resume=True)


def test_resuming_with_other_migrations_is_refused(release: Release):
    release.add(COLUMN)
    with copies(LAST):
        execute(LAST, "ALTER TABLE shop_order ADD COLUMN gift_note int")
        assert states(migrate(LAST)) == {LAST: State.FAILED}
        release.add(MEMO)
        with pytest.raises(ShardingError, match="the code has other migrations now than run"):
            told(resume=True)
        assert recorded(LAST) == []


def test_ctrl_c_leaves_a_run_that_can_be_resumed(release: Release):
    release.add(MEMO)

    def interrupt(what: str, everyone: object) -> None:
        if what == "the others":
            raise KeyboardInterrupt

    with copies(FIRST, LAST):
        with pytest.raises(KeyboardInterrupt):
            migrating.migrate(migrating.groups([FIRST, LAST]), begun=interrupt)
        run = last_run()
        assert run is not None
        assert (run.outcome, run.databases, run.done) == ("interrupted", 2, 1)
        assert (recorded(FIRST), recorded(LAST)) == (["release_1"], [])
        said, found = told(resume=True)
        assert said[1:] == ["all"]
        assert states(found) == {FIRST: State.DONE, LAST: State.DONE}
        assert recorded(LAST) == ["release_1"]


# A migration that is not one transaction.


def test_it_is_continued_at_the_step_that_failed(release: Release):
    name = release.add(COLUMN, CHECK, 'ValidateConstraint("order", "shop_positive")', INDEX, atomic=False)
    with copies(FIRST, LAST):
        execute(LAST, "ALTER TABLE shop_order ADD CONSTRAINT shop_positive CHECK (total > 5)")
        (progress,) = migrate(LAST).values()
        assert progress.state is State.FAILED
        assert progress.step == f"{name} 2/4: Create not valid constraint shop_positive on model order"
        assert "gift_note" in columns(LAST, "shop_order")
        assert recorded(LAST) == []
        assert unfinished(LAST) == [("release_1", 1)]

        execute(LAST, "ALTER TABLE shop_order DROP CONSTRAINT shop_positive")
        assert states(migrate(FIRST, LAST)) == {FIRST: State.DONE, LAST: State.DONE}
        assert everything(LAST) == everything(FIRST)
        assert unfinished(LAST) == []


def test_an_invalid_index_is_built_anew(release: Release):
    release.add(INDEX, atomic=False)
    with copies(FIRST, LAST):
        orders(LAST, OTHER, [3, 3])
        with pytest.raises(Exception, match="could not create unique index"):
            execute(LAST, "CREATE UNIQUE INDEX CONCURRENTLY shop_by_total ON shop_order (total)")
        assert rows(LAST, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'shop_by_total'::regclass") == [(False,)]
        assert states(migrate(FIRST, LAST)) == {FIRST: State.DONE, LAST: State.DONE}
        assert everything(LAST) == everything(FIRST)


@pytest.mark.parametrize("table", ["shop_order", "shop_line"])
def test_an_index_that_somebody_else_made_is_left_alone(release: Release, table: str):
    release.add(INDEX, atomic=False)
    with copies(LAST):
        execute(LAST, f"CREATE INDEX shop_by_total ON {table} (id)")
        (progress,) = migrate(LAST).values()
        assert isinstance(progress.error, NameTaken)
        assert f"index shop_by_total is on {table} " in str(progress.error)
        assert rows(LAST, "SELECT tablename FROM pg_indexes WHERE indexname = 'shop_by_total'") == [(table,)]


# Killed.


def migrate_last() -> None:
    migrate(LAST, workers=1)


@pytest.mark.slow
def test_a_run_killed_at_any_moment_is_continued(release: Release, request: pytest.FixtureRequest):
    release.add(COLUMN, MEMO)
    release.add(INDEX, CHECK, 'ValidateConstraint("order", "shop_positive")', atomic=False)
    where = {"modules": release.modules, "folder": str(release.folder)}
    with copies(LAST):
        code, moments = dying.run(migrate_last, **where, moment=None)
        assert code == 0
        expected = everything(LAST)
    tried = range(1, moments + 1) if request.config.getoption("--long") else range(7, moments + 1, moments // 5)
    outcomes = set()
    for moment in tried:
        with copies(LAST):
            code, reached = dying.run(migrate_last, **where, moment=moment)
            assert (code, reached) == (-signal.SIGKILL, moment)
            outcomes.add(len(recorded(LAST)))
            run = last_run()
            has_begun = run is not None and run.outcome == "running"  # the first statements ask what is lacking
            assert states(migrate(LAST, resume=has_begun)) == {LAST: State.DONE}
            assert everything(LAST) == expected
            assert unfinished(LAST) == []
    assert outcomes == {0, 1, 2}  # before, between and after


def test_what_a_killed_run_left_working_in_the_server_is_waited_for(release: Release):
    """Its session builds the index to the end, though nobody waits for it any more."""
    release.add(INDEX, atomic=False)
    parameters = connections[LAST].get_connection_params()
    with copies(LAST):
        name = connections[LAST].settings_dict["NAME"]
        with psycopg.connect(dbname=name, **{key: parameters[key] for key in ("user", "host")}) as reader:
            reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            reader.execute("SELECT count(*) FROM shop_order")
            process = dying.start(migrate_last, modules=release.modules, folder=str(release.folder))
            until = time.monotonic() + 60
            while not rows(LAST, "SELECT 1 FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting%'"):
                assert time.monotonic() < until
                time.sleep(0.02)
            process.kill()
            process.join(timeout=10)
            assert process.exitcode == -signal.SIGKILL
            waited: list[str] = []

            def note(progress: Any) -> None:
                if progress.step == "waits for the session of an earlier run to end":
                    waited.append(progress.step)
                    if len(waited) == 2:
                        reader.close()

            assert states(migrate(LAST, report=note, resume=True)) == {LAST: State.DONE}
            assert len(waited) >= 2
        assert rows(LAST, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'shop_by_total'::regclass") == [(True,)]
        assert recorded(LAST) == ["release_1"]


# What is shown.


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_a_table_that_moves(release: Release):
    release.add(MEMO)
    with copies(FIRST, LAST):
        out = Terminal()
        call_command("shard", "migrate", "--database", FIRST, "--database", LAST, stdout=out)
    text = out.getvalue()
    assert "\x1b[" in text
    *_, headings, first, last, end = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).rstrip().splitlines()
    assert headings.split() == ["database", "keyspace", "state", "applied", "retries", "seconds", "left", "step"]
    assert first.split()[:5] == [FIRST, "(canary)", "customer", "done", "1/1"]
    assert last.split()[:4] == [LAST, "customer", "done", "1/1"]
    assert end.startswith("2 databases in ")


def test_the_plan_is_shown_and_nothing_done(release: Release):
    release.add(COLUMN, 'AddIndex("order", models.Index(fields=["total"], name="shop_by_total"))')
    release.add(CHECK, atomic=False)
    with copies(FIRST, LAST):
        before = everything(LAST), last_run()
        out = StringIO()
        call_command("shard", "migrate", "--plan", "--database", FIRST, "--database", LAST, stdout=out)
        assert (everything(LAST), last_run()) == before
    lines = out.getvalue().splitlines()
    assert lines[:6] == [
        "customer: 2 databases, 2 of them behind, 0 of them new",
        "  shop.release_1",
        "    + Add field gift_note to order",
        "    + Create index shop_by_total on field(s) total of model order",
        "  shop.release_2 (step by step)",
        "    + Create not valid constraint shop_positive on model order",
    ]
    assert lines[6].startswith(
        "shop.release_1, operation 2 (Create index shop_by_total on field(s) total of model order): "
    )
    assert "index-blocks-writes: " in lines[6]


def test_the_command_refuses_what_makes_no_sense():
    with pytest.raises(CommandError, match="no database is called customer_77"):
        call_command("shard", "migrate", "--canary", "customer_77", stdout=StringIO())
    with pytest.raises(CommandError, match="leave out --database"):
        call_command("shard", "migrate", "--resume", "--database", LAST, stdout=StringIO())
