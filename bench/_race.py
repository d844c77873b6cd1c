"""Fifty shoppers accept one batch at the same moment, over HTTP: how soon do the others know that it is gone?

In truth a batch has one live offer, and a unique index sees to it; here the index is away, so that all fifty have one.
"""

import asyncio
import math
import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from bench import _market
from bench._market import Market, Place
from bench._phones import exchange
from bench.report import Figure

TAPS = 50
GOAL_MS = 100
OFFERED_WITHIN_S = 60.0
INDEX = "dispatch_one_live_offer"

Tap = tuple[int, float]
"""The answer's status, and the milliseconds until it came."""


def figures(url: str, market: Market, finish: Callable[[int, int], None]) -> Iterator[Figure]:
    """While nobody is online; leaves nothing behind but two orders that are delivered."""
    name = f"{TAPS} accept one batch"
    soon = _race(url, market, 0, finish, within_s=1.0)
    at_once = _race(url, market, 1, finish, within_s=0.0)
    for when, taps in (("within a second", soon), ("at the same instant", at_once)):
        winners, told = (sum(found == status for found, _ in taps) for status in (200, 409))
        yield Figure(name=f"{name} {when}: winners", value=winners, unit="", at_least=1, at_most=1)
        yield Figure(name=f"{name} {when}: told that it is gone", value=told, unit="", at_least=TAPS - 1)
        yield Figure(name=f"{name} {when}: all are told in", value=_longest(taps), unit="ms", at_most=GOAL_MS)


def _race(url: str, market: Market, number: int, finish: Callable[[int, int], None], *, within_s: float) -> list[Tap]:
    """Each ``number`` has a store and, as far as they go round, shoppers of its own."""
    from apps.common.geo import Point
    from apps.shoppers import services as shoppers

    store = market.stores[number]
    theirs = [one.id for one in market.shoppers if one.zone_id == store.zone_id]
    rest = [one.id for one in market.shoppers if one.zone_id != store.zone_id]
    first, *others = (theirs + rest)[:TAPS]
    here = Point(store.lat, store.lng)
    shoppers.go_online(shopper_id=first, point=here, now=datetime.now(UTC))
    _market.order(store, 1_000_000 + number, opens_in=timedelta(0), chance=random.Random(number))  # noqa: S311
    offer = _offer(store)
    for shopper_id in others:
        shoppers.go_online(shopper_id=shopper_id, point=here, now=datetime.now(UTC))
    with _all_asked(store, offer, others) as offers:
        taps = asyncio.run(_tap(url, market, offers, within_s=within_s))
    finish(store.id, offer.batch_id)
    _wait_until_free(offers)
    return taps


def _longest(taps: list[Tap]) -> float:
    return max((ms for status, ms in taps if status == 409), default=math.inf)


def _offer(store: Place) -> Any:
    """The one that the planner at work makes."""
    from apps.dispatch.models import Offer

    until = time.monotonic() + OFFERED_WITHIN_S
    while (found := Offer.objects.filter(store_id=store.id, status="sent").first()) is None:
        if time.monotonic() > until:
            raise RuntimeError("the planner offered the only order to nobody; look at the worker's log")
        time.sleep(0.2)
    return found


def _wait_until_free(shopper_ids: Iterable[int]) -> None:
    """Word of the end of a trip goes from shard to shard."""
    from apps.shoppers import selectors as shoppers

    until = time.monotonic() + OFFERED_WITHIN_S
    while any(shoppers.live_assignment(shopper_id=one) for one in shopper_ids) and time.monotonic() < until:
        time.sleep(0.2)


@contextmanager
def _all_asked(store: Place, first: Any, others: list[int]) -> Iterator[dict[int, int]]:
    """Each shopper's live offer of the batch, the others' as if the index had failed."""
    from django.db import connections

    import sharding
    from apps.dispatch.models import Offer
    from apps.shoppers import services as shoppers

    claimed_until = first.expires_at + timedelta(seconds=30)
    offers = {first.shopper_id: first.pk}
    with connections[sharding.alias_for("store", store.id)].cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = %s", [INDEX])
        definition = cursor.fetchone()[0]
        cursor.execute(f"DROP INDEX {INDEX}")
        for shopper_id in others:
            shoppers.claim(
                shopper_id=shopper_id,
                batch_id=first.batch_id,
                store_id=store.id,
                expires_at=claimed_until,
                now=datetime.now(UTC),
            )
            offer = Offer.objects.create(
                batch_id=first.batch_id,
                store_id=store.id,
                shopper_id=shopper_id,
                distance_m=1,
                sent_at=first.sent_at,
                expires_at=first.expires_at,
            )
            offers[shopper_id] = offer.pk
        yield offers
        Offer.objects.filter(batch_id=first.batch_id, status="sent").delete()
        cursor.execute(definition)
    for shopper_id in offers:
        if not Offer.objects.filter(batch_id=first.batch_id, shopper_id=shopper_id).exists():
            shoppers.release(shopper_id=shopper_id, batch_id=first.batch_id)
        shoppers.go_offline(shopper_id=shopper_id)


async def _tap(url: str, market: Market, offers: dict[int, int], *, within_s: float) -> list[Tap]:
    chance = random.Random(2)  # noqa: S311

    async def tap(shopper_id: int, offer_id: int) -> Tap:
        await asyncio.sleep(chance.uniform(0, within_s))
        began = time.perf_counter()
        status, _ = await exchange(url, market.tokens[shopper_id], "POST", f"/offers/{offer_id}/accept")
        return status, (time.perf_counter() - began) * 1000

    for _ in range(2):  # everybody looks at the offer first, and the server's threads are at work already
        await asyncio.gather(*(exchange(url, market.tokens[one], "GET", "/offers") for one in offers))
    return await asyncio.gather(*(tap(*one) for one in offers.items()))
