"""Many buyers at the same moment, each a real thread with a connection of its own."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

import sharding
from apps.inventory import models, selectors, services
from apps.inventory.errors import OutOfStock, ReservationGone
from tests.catalog.factories import make_item
from tests.stores.factories import make_store
from tests.threads import at_once

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SOON = NOW + timedelta(minutes=10)
BUYERS = 50
UNITS = 5
ROUNDS = 4


def buyer(store_id: int, order_id: int, quantities: dict[int, Decimal]) -> Callable[[], str]:
    def buy() -> str:
        try:
            services.reserve(store_id=store_id, order_id=order_id, quantities=quantities, expires_at=SOON, now=NOW)
        except OutOfStock:
            return "sold out"
        return "sold"

    return buy


def test_fifty_buyers_of_five_units() -> None:
    store_id = make_store().id
    for round_ in range(ROUNDS):
        item_id = make_item(store_id, on_hand=UNITS).id
        jobs = [buyer(store_id, round_ * 1000 + n, {item_id: Decimal(1)}) for n in range(1, BUYERS + 1)]
        assert at_once(jobs) == {"sold": UNITS, "sold out": BUYERS - UNITS}
        level = selectors.levels(store_id=store_id, item_ids=[item_id])[item_id]
        assert (level.on_hand, level.reserved) == (UNITS, UNITS)
        assert models.Reservation.objects.filter(store_id=store_id, item_id=item_id).count() == UNITS


def test_baskets_that_overlap_in_every_order_neither_block_nor_oversell() -> None:
    """Each basket names two of four items, in either order: without an order of locking this is a deadlock."""
    store_id = make_store().id
    items = [make_item(store_id, on_hand=20).id for _ in range(4)]
    pairs = [(a, b) for a in items for b in items if a != b]
    jobs = [
        buyer(store_id, n, dict.fromkeys(pair, Decimal(1))) for n, pair in enumerate([*pairs, *pairs, *pairs], start=1)
    ]
    assert at_once(jobs) == {"sold": 36}
    levels = selectors.levels(store_id=store_id, item_ids=items)
    assert [levels[item_id].reserved for item_id in items] == [18, 18, 18, 18]


def test_one_order_reserved_by_many_at_once_is_reserved_once() -> None:
    store_id = make_store().id
    item_id = make_item(store_id, on_hand=1).id
    assert at_once([buyer(store_id, 7, {item_id: Decimal(1)})] * 12) == {"sold": 12}
    assert selectors.available(store_id=store_id, item_ids=[item_id]) == {item_id: 0}
    assert models.Reservation.objects.filter(store_id=store_id, order_id=7).count() == 1


def test_commit_and_reaper_at_once_never_both_win() -> None:
    store_id = make_store().id
    alias = sharding.alias_for("store", store_id)
    item_id = make_item(store_id, on_hand=20).id
    for order_id in range(1, 21):
        services.reserve(
            store_id=store_id, order_id=order_id, quantities={item_id: Decimal(1)}, expires_at=SOON, now=NOW
        )

    def committer(order_id: int) -> Callable[[], str]:
        def commit() -> str:
            try:
                services.commit(store_id=store_id, order_id=order_id)
            except ReservationGone:
                return "gone"
            return "committed"

        return commit

    def reap() -> str:
        services.release_expired(using=alias, now=SOON)
        return "reaped"

    said = at_once([*(committer(order_id) for order_id in range(1, 21)), reap, reap, reap])
    assert said["committed"] + said["gone"] == 20
    states = Counter(models.Reservation.objects.filter(store_id=store_id).values_list("state", flat=True))
    assert (states["committed"], states["released"]) == (said["committed"], said["gone"])
    level = selectors.levels(store_id=store_id, item_ids=[item_id])[item_id]
    assert level.reserved == said["committed"]


def test_an_order_consumed_by_many_at_once_leaves_once() -> None:
    store_id = make_store().id
    item_id = make_item(store_id, on_hand=10).id
    services.reserve(store_id=store_id, order_id=1, quantities={item_id: Decimal(3)}, expires_at=SOON, now=NOW)
    services.commit(store_id=store_id, order_id=1)

    def consume() -> str:
        services.consume(store_id=store_id, order_id=1, taken={item_id: Decimal(2)}, now=NOW)
        return "done"

    assert at_once([consume] * 8) == {"done": 8}
    level = selectors.levels(store_id=store_id, item_ids=[item_id])[item_id]
    assert (level.on_hand, level.reserved) == (8, 0)
