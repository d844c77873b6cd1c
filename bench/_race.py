"""Fifty shoppers accept one batch at the same moment, over HTTP: how soon do the others know that it is gone?

In truth a batch has one live offer, and a unique index sees to it; here the index is away, so that all fifty have one.
"""

import asyncio
import math
import random
import time
from collections.abc import Callable, Iterator
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


def figures(url: str, market: Market, finish: Callable[[int, int], None]) -> Iterator[Figure]:
    """While nobody is online; leaves nothing behind but one order that is delivered."""
    from apps.common.geo import Point
    from apps.shoppers import services as shoppers

    store = market.stores[0]
    first, *others = (one.id for one in sorted(market.shoppers, key=lambda one: one.zone_id != store.zone_id)[:TAPS])
    here = Point(store.lat, store.lng)
    shoppers.go_online(shopper_id=first, point=here, now=datetime.now(UTC))
    _market.order(store, 1_000_000, opens_in=timedelta(0), chance=random.Random(1))  # noqa: S311
    offer = _offer(store)
    for shopper_id in others:
        shoppers.go_online(shopper_id=shopper_id, point=here, now=datetime.now(UTC))
    with _all_asked(store, offer, others) as offers:
        taps = asyncio.run(_tap(url, market, offers))
    finish(store.id, offer.batch_id)
    told = sorted(ms for status, ms in taps if status == 409)
    name = f"{TAPS} accept one batch"
    winners = sum(status == 200 for status, _ in taps)
    yield Figure(name=f"{name}: winners", value=winners, unit="", at_least=1, at_most=1)
    yield Figure(name=f"{name}: told that it is gone", value=len(told), unit="", at_least=TAPS - 1)
    yield Figure(name=f"{name}: half are told within", value=told[len(told) // 2] if told else math.inf, unit="ms")
    yield Figure(name=f"{name}: all are told within", value=told[-1] if told else math.inf, unit="ms", at_most=GOAL_MS)


def _offer(store: Place) -> Any:
    """The one that the planner at work makes."""
    from apps.dispatch.models import Offer

    until = time.monotonic() + OFFERED_WITHIN_S
    while (found := Offer.objects.filter(store_id=store.id, status="sent").first()) is None:
        if time.monotonic() > until:
            raise RuntimeError("the planner offered the only order to nobody; look at the worker's log")
        time.sleep(0.2)
    return found


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


async def _tap(url: str, market: Market, offers: dict[int, int]) -> list[tuple[int, float]]:
    """Status of each answer and the milliseconds until it came."""

    async def tap(shopper_id: int, offer_id: int) -> tuple[int, float]:
        began = time.perf_counter()
        status, _ = await exchange(url, market.tokens[shopper_id], "POST", f"/offers/{offer_id}/accept")
        return status, (time.perf_counter() - began) * 1000

    return await asyncio.gather(*(tap(*one) for one in offers.items()))
