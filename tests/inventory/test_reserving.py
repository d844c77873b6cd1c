from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

import sharding
from apps.inventory import models, selectors, services
from apps.inventory.errors import (
    OutOfStock,
    QuantityInvalid,
    ReservationConsumed,
    ReservationDiffers,
    ReservationGone,
    ReservationNotCommitted,
    ReservationNotFound,
)
from tests.catalog.factories import make_item
from tests.stores.factories import make_store

pytestmark = pytest.mark.django_db(databases="__all__")

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SOON = NOW + timedelta(minutes=10)
ORDER = 4_711


class Shelf:
    """A store with a count item (5 there) and a weight item (2.5 lb there)."""

    def __init__(self) -> None:
        self.store_id = make_store().id
        self.eggs = make_item(self.store_id, on_hand=5).id
        self.grapes = make_item(self.store_id, on_hand="2.5", cost_unit="lb").id

    def reserve(self, eggs: str = "2", grapes: str = "1.25", order_id: int = ORDER) -> None:
        quantities = {self.grapes: Decimal(grapes), self.eggs: Decimal(eggs)}
        services.reserve(store_id=self.store_id, order_id=order_id, quantities=quantities, expires_at=SOON, now=NOW)

    def available(self) -> tuple[Decimal, Decimal]:
        found = selectors.available(store_id=self.store_id, item_ids=[self.eggs, self.grapes])
        return found[self.eggs], found[self.grapes]

    def levels(self) -> list[tuple[Decimal, Decimal]]:
        found = selectors.levels(store_id=self.store_id, item_ids=[self.eggs, self.grapes])
        return [(found[item_id].on_hand, found[item_id].reserved) for item_id in (self.eggs, self.grapes)]

    def states(self, order_id: int = ORDER) -> set[str]:
        rows = models.Reservation.objects.filter(store_id=self.store_id, order_id=order_id)
        return set(rows.values_list("state", flat=True))

    def movements(self) -> list[tuple[int, Decimal, str, int | None]]:
        rows = models.StockMovement.objects.filter(store_id=self.store_id).exclude(reason="test")
        return sorted(rows.values_list("item_id", "delta", "reason", "order_id"))


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


FULL = (Decimal(5), Decimal("2.5"))
LESS = (Decimal(3), Decimal("1.25"))


def test_reserving_takes_from_what_is_available_and_leaves_what_is_on_hand(shelf: Shelf) -> None:
    shelf.reserve()
    assert shelf.available() == LESS
    assert shelf.levels() == [(Decimal(5), Decimal(2)), (Decimal("2.5"), Decimal("1.25"))]
    assert shelf.states() == {"held"}
    assert shelf.movements() == []


def test_reserving_again_changes_nothing(shelf: Shelf) -> None:
    shelf.reserve()
    shelf.reserve()
    assert shelf.available() == LESS


@pytest.mark.parametrize("state", ["committed", "consumed"])
def test_reserving_again_later_changes_nothing(shelf: Shelf, state: str) -> None:
    shelf.reserve()
    services.commit(store_id=shelf.store_id, order_id=ORDER)
    if state == "consumed":
        services.consume(store_id=shelf.store_id, order_id=ORDER, taken={shelf.eggs: Decimal(2)}, now=NOW)
    before = shelf.levels()
    shelf.reserve()
    assert (shelf.levels(), shelf.states()) == (before, {state})


def test_another_basket_of_the_same_order_is_refused(shelf: Shelf) -> None:
    shelf.reserve()
    with pytest.raises(ReservationDiffers):
        shelf.reserve(eggs="3")
    assert shelf.available() == LESS


def test_out_of_stock_names_the_items_and_reserves_nothing(shelf: Shelf) -> None:
    unknown = shelf.grapes + 1
    with pytest.raises(OutOfStock) as refused:
        services.reserve(
            store_id=shelf.store_id,
            order_id=ORDER,
            quantities={shelf.eggs: Decimal(6), shelf.grapes: Decimal(1), unknown: Decimal(1)},
            expires_at=SOON,
            now=NOW,
        )
    assert refused.value.item_ids == tuple(sorted([shelf.eggs, unknown]))
    assert refused.value.code == "out_of_stock"
    assert shelf.available() == FULL
    assert shelf.states() == set()


def test_what_is_reserved_is_not_there_for_the_next_order(shelf: Shelf) -> None:
    shelf.reserve(eggs="5", grapes="2.5")
    with pytest.raises(OutOfStock):
        shelf.reserve(eggs="1", grapes="0.001", order_id=ORDER + 1)
    assert shelf.available() == (0, 0)
    assert shelf.states(ORDER + 1) == set()


@pytest.mark.parametrize("quantity", ["0", "-1", "1.0001", "NaN", "Infinity", "1e12"])
def test_impossible_quantities_are_refused(shelf: Shelf, quantity: str) -> None:
    with pytest.raises(QuantityInvalid):
        shelf.reserve(eggs=quantity)
    assert shelf.available() == FULL


def test_an_item_of_another_store_is_out_of_stock(shelf: Shelf) -> None:
    other = Shelf()
    with pytest.raises(OutOfStock) as refused:
        services.reserve(
            store_id=shelf.store_id, order_id=ORDER, quantities={other.eggs: Decimal(1)}, expires_at=SOON, now=NOW
        )
    assert refused.value.item_ids == (other.eggs,)
    assert (shelf.available(), other.available()) == (FULL, FULL)


def test_release_gives_back_once(shelf: Shelf) -> None:
    shelf.reserve()
    for _ in range(2):
        services.release(store_id=shelf.store_id, order_id=ORDER, now=NOW)
        assert shelf.available() == FULL
        assert shelf.states() == {"released"}


def test_release_gives_a_committed_reservation_back(shelf: Shelf) -> None:
    shelf.reserve()
    services.commit(store_id=shelf.store_id, order_id=ORDER)
    services.release(store_id=shelf.store_id, order_id=ORDER, now=NOW)
    assert (shelf.available(), shelf.states()) == (FULL, {"released"})


def test_release_of_nothing_is_harmless(shelf: Shelf) -> None:
    services.release(store_id=shelf.store_id, order_id=ORDER, now=NOW)
    assert shelf.available() == FULL


def test_a_released_order_may_reserve_again_even_something_else(shelf: Shelf) -> None:
    shelf.reserve()
    services.release(store_id=shelf.store_id, order_id=ORDER, now=NOW)
    services.reserve(
        store_id=shelf.store_id, order_id=ORDER, quantities={shelf.eggs: Decimal(5)}, expires_at=SOON, now=NOW
    )
    assert shelf.available() == (0, Decimal("2.5"))
    services.commit(store_id=shelf.store_id, order_id=ORDER)
    assert shelf.states() == {"committed"}


def test_a_reservation_that_ran_out_in_part_is_made_anew(shelf: Shelf) -> None:
    shelf.reserve()
    half = models.Reservation.objects.filter(store_id=shelf.store_id, order_id=ORDER, item_id=shelf.eggs)
    half.update(state="released")
    models.StockLevel.objects.filter(store_id=shelf.store_id, item_id=shelf.eggs).update(reserved=0)
    with pytest.raises(ReservationGone):
        services.commit(store_id=shelf.store_id, order_id=ORDER)
    shelf.reserve()
    assert (shelf.available(), shelf.states()) == (LESS, {"held"})


def test_commit_keeps_the_reservation_past_its_expiry(shelf: Shelf) -> None:
    shelf.reserve()
    for _ in range(2):
        services.commit(store_id=shelf.store_id, order_id=ORDER)
    assert services.release_expired(using=_alias(shelf), now=SOON + timedelta(days=1)) == 0
    assert (shelf.available(), shelf.states()) == (LESS, {"committed"})


def test_the_reaper_frees_what_ran_out_and_nothing_else(shelf: Shelf) -> None:
    shelf.reserve(eggs="1", grapes="1")
    services.reserve(
        store_id=shelf.store_id,
        order_id=ORDER + 1,
        quantities={shelf.eggs: Decimal(3)},
        expires_at=SOON + timedelta(seconds=1),
        now=NOW,
    )
    assert services.release_expired(using=_alias(shelf), now=SOON - timedelta(microseconds=1)) == 0
    assert services.release_expired(using=_alias(shelf), now=SOON) == 1
    assert services.release_expired(using=_alias(shelf), now=SOON) == 0
    assert shelf.available() == (2, Decimal("2.5"))
    assert (shelf.states(), shelf.states(ORDER + 1)) == ({"released"}, {"held"})
    with pytest.raises(ReservationGone):
        services.commit(store_id=shelf.store_id, order_id=ORDER)


def test_the_reaper_gives_back_the_same_item_of_several_orders(shelf: Shelf) -> None:
    shelf.reserve(eggs="1", grapes="1")
    shelf.reserve(eggs="2", grapes="1", order_id=ORDER + 1)
    assert services.release_expired(using=_alias(shelf), now=SOON) == 2
    assert shelf.available() == FULL


def test_goods_that_were_found_leave_the_shelf_and_the_rest_is_free_again(shelf: Shelf) -> None:
    shelf.reserve()
    services.commit(store_id=shelf.store_id, order_id=ORDER)
    for _ in range(2):
        services.consume(store_id=shelf.store_id, order_id=ORDER, taken={shelf.grapes: Decimal("1.31")}, now=NOW)
        assert shelf.levels() == [(5, 0), (Decimal("1.19"), 0)]
        assert shelf.states() == {"consumed"}
        assert shelf.movements() == [(shelf.grapes, Decimal("-1.31"), "sold", ORDER)]


def test_more_may_be_found_than_was_counted_but_not_what_others_were_promised(shelf: Shelf) -> None:
    shelf.reserve(eggs="2", grapes="1")
    shelf.reserve(eggs="3", grapes="1", order_id=ORDER + 1)
    services.commit(store_id=shelf.store_id, order_id=ORDER)
    services.consume(store_id=shelf.store_id, order_id=ORDER, taken={shelf.eggs: Decimal(4)}, now=NOW)
    assert shelf.levels() == [(3, 3), (Decimal("2.5"), 1)]
    assert shelf.movements() == sorted(
        [(shelf.eggs, Decimal(-4), "sold", ORDER), (shelf.eggs, Decimal(2), "correction", ORDER)]
    )


def test_a_replacement_leaves_the_shelf_without_a_reservation(shelf: Shelf) -> None:
    services.reserve(
        store_id=shelf.store_id, order_id=ORDER, quantities={shelf.eggs: Decimal(1)}, expires_at=SOON, now=NOW
    )
    services.commit(store_id=shelf.store_id, order_id=ORDER)
    services.consume(store_id=shelf.store_id, order_id=ORDER, taken={shelf.grapes: Decimal("0.5")}, now=NOW)
    assert shelf.levels() == [(5, 0), (2, 0)]


def test_only_committed_goods_leave(shelf: Shelf) -> None:
    taken = {shelf.eggs: Decimal(1)}
    with pytest.raises(ReservationNotFound):
        services.consume(store_id=shelf.store_id, order_id=ORDER, taken=taken, now=NOW)
    shelf.reserve()
    with pytest.raises(ReservationNotCommitted):
        services.consume(store_id=shelf.store_id, order_id=ORDER, taken=taken, now=NOW)
    services.release(store_id=shelf.store_id, order_id=ORDER, now=NOW)
    with pytest.raises(ReservationGone):
        services.consume(store_id=shelf.store_id, order_id=ORDER, taken=taken, now=NOW)
    assert shelf.available() == FULL
    assert shelf.movements() == []


def test_consumed_goods_are_neither_released_nor_uncommitted(shelf: Shelf) -> None:
    shelf.reserve()
    services.commit(store_id=shelf.store_id, order_id=ORDER)
    services.consume(store_id=shelf.store_id, order_id=ORDER, taken={shelf.eggs: Decimal(2)}, now=NOW)
    before = shelf.levels()
    with pytest.raises(ReservationConsumed):
        services.release(store_id=shelf.store_id, order_id=ORDER, now=NOW)
    services.commit(store_id=shelf.store_id, order_id=ORDER)  # a late message
    assert (shelf.levels(), shelf.states()) == (before, {"consumed"})


def test_a_commit_of_nothing_is_refused(shelf: Shelf) -> None:
    with pytest.raises(ReservationNotFound):
        services.commit(store_id=shelf.store_id, order_id=ORDER)


def test_counting_sets_the_stock_notes_the_difference_and_respects_promises(shelf: Shelf) -> None:
    shelf.reserve(eggs="4", grapes="1")
    count = {shelf.eggs: Decimal(1), shelf.grapes: Decimal(9)}
    for _ in range(2):
        services.set_on_hand(store_id=shelf.store_id, quantities=count, reason="count", now=NOW)
        assert shelf.levels() == [(4, 4), (9, 1)]
        assert shelf.movements() == sorted(
            [(shelf.eggs, Decimal(-1), "count", None), (shelf.grapes, Decimal("6.5"), "count", None)]
        )


@pytest.mark.parametrize("quantity", ["-1", "0.0001", "NaN"])
def test_an_impossible_count_changes_nothing(shelf: Shelf, quantity: str) -> None:
    count = {shelf.grapes: Decimal(1), shelf.eggs: Decimal(quantity)}
    with pytest.raises(QuantityInvalid):
        services.set_on_hand(store_id=shelf.store_id, quantities=count, reason="count", now=NOW)
    assert shelf.available() == FULL


def test_a_movement_is_never_changed(shelf: Shelf) -> None:
    movement = models.StockMovement.objects.filter(store_id=shelf.store_id).first()
    assert movement is not None
    with pytest.raises(TypeError):
        movement.save()


def test_stores_on_different_shards_do_not_meet() -> None:
    shelves = [Shelf(), Shelf(), Shelf()]
    assert len({_alias(shelf) for shelf in shelves}) > 1
    shelves[0].reserve()
    assert [shelf.available() for shelf in shelves] == [LESS, FULL, FULL]


def test_queries_do_not_grow_with_the_order(
    django_assert_num_queries: Callable[..., object],
) -> None:
    store_id = make_store().id
    items = [make_item(store_id).id for _ in range(7)]
    quantities = dict.fromkeys(items, Decimal(1))
    using = sharding.alias_for("store", store_id)
    with django_assert_num_queries(1, using=using):
        services.reserve(store_id=store_id, order_id=ORDER, quantities=quantities, expires_at=SOON, now=NOW)
    with django_assert_num_queries(2, using=using), pytest.raises(OutOfStock):
        services.reserve(
            store_id=store_id,
            order_id=ORDER + 1,
            quantities={**quantities, items[3]: Decimal(41)},
            expires_at=SOON,
            now=NOW,
        )
    with django_assert_num_queries(1, using=using):
        assert selectors.available(store_id=store_id, item_ids=items) == dict.fromkeys(items, Decimal(39))
    with django_assert_num_queries(2 + 2, using=using):  # 2: savepoint of the test's own transaction
        services.commit(store_id=store_id, order_id=ORDER)
    with django_assert_num_queries(3 + 2, using=using):
        services.consume(store_id=store_id, order_id=ORDER, taken=quantities, now=NOW)
    with django_assert_num_queries(2 + 2, using=using):
        services.set_on_hand(store_id=store_id, quantities=quantities, reason="count", now=NOW)


def _alias(shelf: Shelf) -> str:
    return sharding.alias_for("store", shelf.store_id)
