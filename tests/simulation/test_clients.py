"""What the simulated phones do when the network or the server fails them."""

import asyncio
import json
import time

import httpx
import pytest

from apps.simulation import clients
from apps.simulation.clients import Refused, Tokens, Unanswered
from tests.simulation.market import Script

LOST = httpx.ReadTimeout("the answer was lost")
AWAY = httpx.ConnectError("nobody there")
GIVEN = {"access_token": "second", "refresh_token": "r2", "expires_in": 600}


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(clients, "FIRST_PAUSE_S", 0)


def tokens(script, *, ends_in=600.0, again=None):
    async def sign_in_again():
        assert again is not None, "nobody expected a sign-in"
        return again

    return Tokens(script.client(), "customer-app", "first", "r1", time.monotonic() + ends_in, sign_in_again)


def keys(script):
    return [request.headers["Idempotency-Key"] for request in script.requests]


@pytest.mark.parametrize("failure", [LOST, AWAY, 500, 502, 503])
def test_a_call_that_is_sent_again_carries_the_same_key(failure):
    script = Script(failure, failure, failure, failure, {"ok": True})
    assert asyncio.run(clients.rest(tokens(script), "POST", "shopper/online", {"lat": 1})) == {"ok": True}
    assert len(script.requests) == clients.RETRIES == 5
    assert len(set(keys(script))) == 1
    assert {request.content for request in script.requests} == {b'{"lat":1}'}


def test_two_calls_have_two_keys():
    async def twice():
        mine = tokens(script)
        await clients.rest(mine, "POST", "shopper/online")
        await clients.rest(mine, "POST", "shopper/online")

    script = Script({})
    asyncio.run(twice())
    first, second = keys(script)
    assert first != second


@pytest.mark.parametrize("failure", [LOST, 500])
def test_after_five_times_nobody_knows(failure):
    script = Script(failure)
    with pytest.raises(Unanswered):
        asyncio.run(clients.rest(tokens(script), "POST", "shopper/online"))
    with pytest.raises(Unanswered):
        asyncio.run(clients.graphql(script.client(), "{ me { id } }"))
    assert len(script.requests) == 10


def problem(_):
    return httpx.Response(409, json={"code": "offer_gone", "detail": "Somebody was quicker."})


@pytest.mark.parametrize(("answer", "code"), [(problem, "offer_gone"), (404, "http_404"), (403, "http_403")])
def test_a_refusal_is_not_sent_again(answer, code):
    script = Script(answer)
    with pytest.raises(Refused) as refusal:
        asyncio.run(clients.rest(tokens(script), "POST", "shopper/offers/5/accept"))
    assert (refusal.value.code, len(script.requests)) == (code, 1)


def test_an_empty_answer_is_none():
    script = Script(lambda _: httpx.Response(204))
    assert asyncio.run(clients.rest(tokens(script), "POST", "shopper/offline")) is None


@pytest.mark.parametrize(
    ("errors", "code"),
    [
        ([{"message": "Stale.", "extensions": {"code": "cart_stale"}}], "cart_stale"),
        ([{"message": "Cannot query field"}], "graphql"),
    ],
)
def test_the_first_error_of_graphql_is_the_refusal(errors, code):
    script = Script({"data": None, "errors": errors})
    with pytest.raises(Refused) as refusal:
        asyncio.run(clients.graphql(script.client(), "{ me { id } }"))
    assert (refusal.value.code, len(script.requests)) == (code, 1)


def test_graphql_that_is_sent_again_is_word_for_word_the_same():
    script = Script(LOST, 502, {"data": {"placeOrder": {"orderId": "7"}}})
    asyncio.run(clients.graphql(script.client(), "mutation", tokens(script), i={"idempotencyKey": "k"}))
    assert [json.loads(request.content) for request in script.requests] == [
        {"query": "mutation", "variables": {"i": {"idempotencyKey": "k"}}}
    ] * 3


class TestTokens:
    def test_a_fresh_one_is_used_as_it_is(self):
        script = Script(500)
        assert asyncio.run(tokens(script).header()) == {"Authorization": "Bearer first"}
        assert script.requests == []

    def test_one_that_ends_soon_is_renewed_once_for_all_who_wait(self):
        async def many():
            mine = tokens(script, ends_in=29)
            return await asyncio.gather(*(mine.header() for _ in range(5))), mine

        script = Script(GIVEN)
        headers, mine = asyncio.run(many())
        assert headers == [{"Authorization": "Bearer second"}] * 5
        (request,) = script.requests
        assert request.url.path == "/oauth/token/"
        assert request.content == b"grant_type=refresh_token&refresh_token=r1&client_id=customer-app"
        assert mine.refresh == "r2"
        assert mine.ends_at > time.monotonic() + 590

    @pytest.mark.parametrize("failure", [LOST, AWAY, 400, 503])
    def test_a_refresh_that_fails_is_not_repeated_but_signed_in_anew(self, failure):
        script, other = Script(failure), Script(500)
        fresh = tokens(other)
        fresh.access, fresh.refresh = "third", "r3"
        mine = tokens(script, ends_in=0, again=fresh)
        assert asyncio.run(mine.header()) == {"Authorization": "Bearer third"}
        assert (mine.refresh, len(script.requests)) == ("r3", 1)
