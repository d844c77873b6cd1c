import os
import re
import subprocess
import sys
import textwrap
import time
from contextlib import suppress

import pytest
from django.db import Error, connections
from prometheus_client import REGISTRY

import sharding
from instacart.env import ROOT
from sharding import breakers, metrics
from sharding.errors import ShardUnavailable
from tests.sharding.conftest import ONE
from tests.sharding.shop.models import Customer

HERE = sharding.alias_for("customer", ONE)


def sample(name, **labels):
    return REGISTRY.get_sample_value(name, labels) or 0


def errors():
    return {
        (one.labels["database"], one.labels["kind"]): one.value
        for family in REGISTRY.collect()
        if family.name == "sharding_errors"
        for one in family.samples
        if one.name.endswith("_total")
    }


@pytest.mark.django_db(databases="__all__")
def test_every_answer_is_counted_and_timed():
    Customer.objects.create(id=ONE, name="Ada")
    before = {alias: sample("sharding_statement_seconds_count", database=alias) for alias in sharding.all_aliases()}
    spent = sample("sharding_statement_seconds_sum", database=HERE)
    for _ in range(3):
        Customer.objects.get(pk=ONE)
    with connections[HERE].cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.02)")
    after = {alias: sample("sharding_statement_seconds_count", database=alias) for alias in sharding.all_aliases()}
    assert {alias: after[alias] - before[alias] for alias in after if after[alias] != before[alias]} == {HERE: 4}
    assert 0.02 < sample("sharding_statement_seconds_sum", database=HERE) - spent < 0.5


GOING_WRONG = {
    "statement": "SELECT nothing",
    "constraint": "INSERT INTO shop_product (id, name) VALUES (-1, 'a'), (-1, 'b')",
    "conflict": "DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '40001'; END $$",
    "deadline": "SELECT pg_sleep(9)",
    "lost": "SELECT pg_terminate_backend(pg_backend_pid())",
}


@pytest.mark.django_db(databases="__all__", transaction=True)
def test_what_goes_wrong_is_counted_by_kind():
    for kind, statement in GOING_WRONG.items():
        before = errors()
        with suppress(Error), sharding.deadline(0.3), connections["default"].cursor() as cursor:
            cursor.execute(statement)
        after = errors()
        assert {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key)} == {
            ("default", kind): 1
        }


@pytest.mark.django_db(databases="__all__", transaction=True)
def test_a_database_that_cannot_be_reached_and_one_that_is_left_alone(monkeypatch):
    connection = connections[HERE]
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "HOST", "/nowhere")
    unreachable, alone = (errors().get((HERE, kind), 0) for kind in ("unreachable", "left_alone"))
    for _ in range(5):
        with pytest.raises(ShardUnavailable):
            connection.ensure_connection()
    assert errors()[(HERE, "unreachable")] == unreachable + 3
    assert errors()[(HERE, "left_alone")] == alone + 2
    assert sample("sharding_breaker_open", database=HERE) == 1
    breakers.reset()
    assert sample("sharding_breaker_open", database=HERE) == 0


def test_what_other_parts_of_the_library_say():
    metrics.shard_map(epoch=7, confirmed_at=1_800_000_000)
    metrics.moves({"customer 0-9": 0.25, "store 7": 1.0})
    metrics.replica_lag("customer_0_copy", 1.5)
    text = metrics.rendered().decode()
    assert "\nsharding_map_epoch 7.0\n" in text
    assert "\nsharding_map_confirmed_timestamp_seconds 1.8e+09\n" in text
    assert '\nsharding_move_progress{move="customer 0-9"} 0.25\n' in text
    assert '\nsharding_replica_lag_seconds{database="customer_0_copy"} 1.5\n' in text
    metrics.moves({"store 7": 1.0})
    assert re.findall("sharding_move_progress{.*", metrics.rendered().decode()) == [
        'sharding_move_progress{move="store 7"} 1.0'
    ]


def test_processes_share_their_figures_and_the_dead_have_no_breakers(tmp_path):
    folder = tmp_path / "figures"  # made when it is missing
    work = """
        from sharding import metrics
        measured = metrics.statements("customer_0")
        for _ in range(1000): measured(0.003)
        metrics.breaker("customer_0", is_open=True)
        metrics.error("customer_0", "deadline")
    """
    look = "from sharding import metrics; print(metrics.rendered().decode())"

    def run(code):
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            cwd=ROOT,
            env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    run(work)
    run(work)
    page = run(look)
    assert 'sharding_statement_seconds_count{database="customer_0"} 2000.0\n' in page
    assert 'sharding_errors_total{database="customer_0",kind="deadline"} 2.0\n' in page
    assert "sharding_breaker_open{" not in page


def test_measuring_costs_less_than_three_microseconds():
    measured = metrics.statements("measured")

    def microseconds():
        began = time.perf_counter()
        for _ in range(10_000):
            measured(0.0004)
        return (time.perf_counter() - began) * 100

    assert min(microseconds() for _ in range(10)) < 3
