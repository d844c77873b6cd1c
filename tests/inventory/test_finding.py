"""What a shopper finds on the shelf, and what the stock makes of it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from apps.inventory import domain, models, selectors, services
from apps.inventory.errors import (
    OutOfStock,
    ReservationConsumed,
    ReservationDiffers,
    ReservationGone,
    ReservationNotCommitted,
    ReservationNotFound,
)
from apps.inventory.types import FoundRate, Outcome
from tests.inventory.test_reserving import NOW, ORDER, Shelf
from tests.threads import answers_at_once

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def shelf() -> Shelf:
    """Two eggs of five and 1.25 lb of grapes of 2.5 are the order's."""
    shelf = Shelf()
    shelf.reserve()
    services.commit(store_id=shelf.store_id, order_id=ORDER)
    return shelf


def miss(shelf: Shelf, item_id: int, order_id: int = ORDER) -> None:
    services.note_missing(store_id=shelf.store_id, order_id=order_id, item_id=item_id, now=NOW)


def change(shelf: Shelf, eggs: str = "0", grapes: str = "0", order_id: int = ORDER) -> None:
    deltas = {shelf.eggs: Decimal(eggs), shelf.grapes: Decimal(grapes)}
    services.change(store_id=shelf.store_id, order_id=order_id, deltas=deltas)


def reserved(shelf: Shelf, order_id: int = ORDER) -> dict[int, tuple[str, Decimal]]:
    rows = models.Reservation.objects.filter(store_id=shelf.store_id, order_id=order_id)
    return {item_id: (state, quantity) for item_id, state, quantity in rows.values_list("item_id", "state", "quantity")}


def consume(shelf: Shelf, taken: dict[int, str], order_id: int = ORDER) -> bool:
    quantities = {item_id: Decimal(quantity) for item_id, quantity in taken.items()}
    return services.consume(store_id=shelf.store_id, order_id=order_id, taken=quantities, now=NOW)


class TestMissing:
    def test_the_stock_falls_to_what_others_were_promised(self, shelf):
        shelf.reserve(eggs="1", grapes="1", order_id=2)
        for _ in range(2):
            miss(shelf, shelf.eggs)
            assert shelf.levels()[0] == (1, 1)
            assert shelf.available()[0] == 0
            assert shelf.movements() == [(shelf.eggs, Decimal(-4), "missing", ORDER)]
        assert reserved(shelf)[shelf.eggs] == ("missing", 2)
        assert selectors.missing(store_id=shelf.store_id) == (shelf.eggs,)

    def test_nobody_gets_more_until_somebody_counts(self, shelf):
        miss(shelf, shelf.eggs)
        with pytest.raises(OutOfStock):
            shelf.reserve(eggs="1", grapes="1", order_id=2)
        assert reserved(shelf, 2) == {}
        for count in ("0", "4"):
            services.set_on_hand(
                store_id=shelf.store_id, quantities={shelf.eggs: Decimal(count)}, reason="count", now=NOW
            )
        assert selectors.missing(store_id=shelf.store_id) == ()
        shelf.reserve(eggs="1", grapes="1", order_id=2)
        assert shelf.available()[0] == 3

    def test_a_count_that_agrees_ends_it_too(self, shelf):
        miss(shelf, shelf.eggs)
        services.set_on_hand(store_id=shelf.store_id, quantities={shelf.eggs: Decimal(0)}, reason="count", now=NOW)
        assert selectors.missing(store_id=shelf.store_id) == ()
        assert shelf.movements() == [(shelf.eggs, Decimal(-5), "missing", ORDER)]

    def test_goods_that_others_have_reserved_stay_theirs_below_zero_nothing_falls(self, shelf):
        shelf.reserve(eggs="3", grapes="1", order_id=2)
        miss(shelf, shelf.eggs)
        miss(shelf, shelf.eggs, order_id=2)
        assert shelf.levels()[0] == (0, 0)

    def test_the_order_goes_on_with_the_rest(self, shelf):
        miss(shelf, shelf.eggs)
        assert consume(shelf, {shelf.grapes: "1.3"}) is True
        assert consume(shelf, {shelf.grapes: "1.3"}) is False
        assert shelf.levels() == [(0, 0), (Decimal("1.2"), 0)]
        assert shelf.states() == {"consumed"}

    def test_an_order_of_which_everything_is_missing_is_picked_too(self, shelf):
        miss(shelf, shelf.eggs)
        miss(shelf, shelf.grapes)
        assert consume(shelf, {}) is True
        assert shelf.levels() == [(0, 0), (0, 0)]

    def test_an_egg_that_turns_up_is_sold_all_the_same(self, shelf):
        miss(shelf, shelf.eggs)
        assert consume(shelf, {shelf.eggs: "1", shelf.grapes: "1"}) is True
        assert shelf.levels()[0] == (0, 0)
        on_hand = sum(delta for item_id, delta, _, _ in shelf.movements() if item_id == shelf.eggs)
        assert on_hand == -5

    def test_a_canceled_order_gives_back_the_rest_only(self, shelf):
        miss(shelf, shelf.eggs)
        for _ in range(2):
            services.release(store_id=shelf.store_id, order_id=ORDER, now=NOW)
        assert shelf.levels() == [(0, 0), (Decimal("2.5"), 0)]

    def test_an_item_without_stock_is_left_alone(self, shelf):
        miss(shelf, 4711)
        assert shelf.movements() == []


class TestChange:
    def test_more_of_one_and_less_of_the_other(self, shelf):
        change(shelf, eggs="3", grapes="-0.25")
        assert reserved(shelf) == {shelf.eggs: ("committed", 5), shelf.grapes: ("committed", 1)}
        assert shelf.levels() == [(5, 5), (Decimal("2.5"), 1)]

    def test_what_the_order_wants_none_of_is_no_longer_reserved(self, shelf):
        change(shelf, grapes="-1.25")
        assert reserved(shelf) == {shelf.eggs: ("committed", 2)}
        change(shelf, grapes="1")
        assert reserved(shelf)[shelf.grapes] == ("committed", 1)
        assert shelf.levels() == [(5, 2), (Decimal("2.5"), 1)]

    @pytest.mark.parametrize(
        ("deltas", "refusal"),
        [
            ({"eggs": "4"}, OutOfStock),
            ({"eggs": "4", "grapes": "-1"}, OutOfStock),
            ({"eggs": "-3"}, ReservationDiffers),
        ],
    )
    def test_a_refusal_changes_nothing(self, shelf, deltas, refusal):
        before = reserved(shelf), shelf.levels()
        with pytest.raises(refusal):
            change(shelf, **deltas)
        assert (reserved(shelf), shelf.levels()) == before

    def test_a_missing_item_is_wanted_anew_once_it_was_counted(self, shelf):
        miss(shelf, shelf.eggs)
        with pytest.raises(OutOfStock):
            change(shelf, eggs="1")
        services.set_on_hand(store_id=shelf.store_id, quantities={shelf.eggs: Decimal(9)}, reason="count", now=NOW)
        change(shelf, eggs="1")
        assert reserved(shelf)[shelf.eggs] == ("committed", 1)
        assert shelf.levels()[0] == (9, 1)

    def test_only_a_confirmed_order_s_goods_on_the_shelf_can_change(self, shelf):
        with pytest.raises(ReservationNotFound):
            change(shelf, eggs="1", order_id=2)
        shelf.reserve(eggs="1", grapes="1", order_id=2)
        with pytest.raises(ReservationNotCommitted):
            change(shelf, eggs="1", order_id=2)
        services.release(store_id=shelf.store_id, order_id=2, now=NOW)
        with pytest.raises(ReservationGone):
            change(shelf, eggs="1", order_id=2)
        consume(shelf, {})
        with pytest.raises(ReservationConsumed):
            change(shelf, eggs="1")
        assert shelf.levels() == [(5, 0), (Decimal("2.5"), 0)]


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_changes_in_opposite_directions_do_not_wait_for_each_other(shelf):
    shelf.reserve(eggs="2", grapes="1", order_id=2)
    services.commit(store_id=shelf.store_id, order_id=2)

    def swap(n):
        for _ in range(10):
            change(shelf, eggs="-1", grapes="0.1", order_id=(ORDER, 2)[n])
            change(shelf, eggs="1", grapes="-0.1", order_id=(ORDER, 2)[n])

    assert answers_at_once(swap, 2) == [None, None]
    assert shelf.levels() == [(5, 4), (Decimal("2.5"), Decimal("2.25"))]


class TestFoundRate:
    def test_each_outcome_counts_in_its_hour_of_the_week(self, shelf):
        tuesday_noon = datetime(2026, 3, 3, 17, 59, tzinfo=UTC)
        for outcome in (Outcome.FOUND, Outcome.FOUND, Outcome.PARTLY, Outcome.NOT_FOUND):
            services.note_outcomes(
                store_id=shelf.store_id,
                outcomes={shelf.eggs: outcome},
                timezone="America/New_York",
                at=tuesday_noon,
            )
        services.note_outcomes(
            store_id=shelf.store_id,
            outcomes={shelf.eggs: Outcome.FOUND, shelf.grapes: Outcome.FOUND},
            timezone="America/New_York",
            at=tuesday_noon + timedelta(minutes=1),
        )
        assert selectors.found_rates(store_id=shelf.store_id, item_id=shelf.eggs) == {
            36: FoundRate(asked=4, found=2, partly=1),
            37: FoundRate(asked=1, found=1, partly=0),
        }

    @pytest.mark.parametrize(
        ("moment", "hour"),
        [
            (datetime(2026, 3, 2, 5, tzinfo=UTC), 0),
            (datetime(2026, 3, 2, 4, 59, tzinfo=UTC), 167),
            (datetime(2026, 7, 6, 4, tzinfo=UTC), 0),  # an hour earlier while the clocks are forward
        ],
    )
    def test_the_week_begins_on_monday_by_the_store_s_clock(self, moment, hour):
        assert domain.hour_of_week(moment, timezone="America/New_York") == hour
