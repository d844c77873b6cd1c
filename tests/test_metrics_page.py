"""``/metrics`` is there for whoever has the token, and for nobody else."""

import re

import pytest

from sharding import ShardUnavailable
from sharding.models import Move
from sharding.moves import progress
from sharding.moves.steps import STEPS


@pytest.fixture
def token(settings):
    settings.METRICS_TOKEN = "open sesame"
    return "Bearer open sesame"


@pytest.mark.django_db
def test_who_has_the_token_reads_the_figures(client, token):
    answer = client.get("/metrics", headers={"Authorization": token})
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert "# TYPE sharding_statement_seconds histogram\n" in answer.content.decode()


@pytest.mark.parametrize("given", [None, "", "Bearer", "Bearer ", "Bearer open", "open sesame", "Bearer öpen"])
def test_without_it_there_is_no_such_page(client, token, given):
    answer = client.get("/metrics", headers={} if given is None else {"Authorization": given})
    assert answer.status_code == 404
    assert b"sharding_" not in answer.content


@pytest.mark.parametrize("given", [None, "Bearer ", "Bearer"])
def test_where_none_was_set_nothing_opens_it(client, settings, given):
    assert settings.METRICS_TOKEN == ""
    assert client.get("/metrics", headers={} if given is None else {"Authorization": given}).status_code == 404


@pytest.mark.django_db
def test_moves_are_among_them(client, token):
    half = STEPS[Move.Phase.MOVING][0]
    half = half[len(half) // 2].name
    Move.objects.create(keyspace="customer", first=0, last=9, source="a", target="b", tag="t1", step=half)
    Move.objects.create(keyspace="store", first=5, last=5, source="a", target="b", tag="t2", step="", phase="done")
    text = client.get("/metrics", headers={"Authorization": token}).content.decode()
    found = dict(re.findall(r'^sharding_move_progress\{move="([^"]*)"\} (.*)$', text, re.MULTILINE))
    (under_way,) = (float(value) for name, value in found.items() if name.startswith("customer 0-9"))
    assert 0.4 < under_way < 0.6
    assert [value for name, value in found.items() if name.startswith("store 5")] == ["1.0"]


def test_the_figures_are_there_while_the_directory_is_away(client, token, monkeypatch):
    def refuse():
        raise ShardUnavailable("default", "left alone")

    monkeypatch.setattr(progress, "measure", refuse)
    assert client.get("/metrics", headers={"Authorization": token}).status_code == 200
