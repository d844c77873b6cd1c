"""``/metrics`` is there for whoever has the token, and for nobody else."""

import pytest


@pytest.fixture
def token(settings):
    settings.METRICS_TOKEN = "open sesame"
    return "Bearer open sesame"


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
