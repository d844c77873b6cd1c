from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.common.errors import IdempotencyKeyMissing
from apps.common.money import Money
from apps.orders import domain
from apps.orders.domain import TRANSITIONS, Status
from apps.orders.errors import FoundQuantityInvalid, LineStatusInvalid

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("estimate", "authorised"),
    [
        (1, 500),
        (434, 500),  # 4.991
        (435, 1000),  # 5.0025
        (2000, 2500),  # 23.00
        (10_000, 11_500),
        (10_001, 12_000),
    ],
)
def test_authorisation_is_the_estimate_and_15_percent_in_steps_of_five_dollars(estimate, authorised):
    assert domain.amount_to_authorise(Money(estimate)) == Money(authorised)


@given(st.integers(1, 10_000_000))
def test_authorisation_never_falls_short_of_the_buffer_and_never_goes_a_step_beyond(cents):
    authorised = domain.amount_to_authorise(Money(cents)).cents
    assert authorised % 500 == 0
    assert 0 <= authorised * 100 - cents * 115 < 500 * 100


def test_every_status_has_its_row_and_its_title():
    assert set(TRANSITIONS) == set(domain.TITLES) == set(Status)


def test_every_status_can_be_reached_and_every_path_can_end():
    reached, frontier = {Status.PENDING}, [Status.PENDING]
    while frontier:
        new = TRANSITIONS[frontier.pop()] - reached
        reached |= new
        frontier += new
    assert reached == set(Status)
    can_end = set(domain.TERMINAL)
    while more := {s for s, after in TRANSITIONS.items() if after & can_end} - can_end:
        can_end |= more
    assert can_end == set(Status)
    assert {Status.DELIVERED, Status.RETURNED, Status.REJECTED, Status.CANCELED} == domain.TERMINAL


def test_no_order_is_shopped_before_it_is_confirmed():
    for unpaid in domain.UNPLACED:
        assert not TRANSITIONS[unpaid] & {Status.ACKNOWLEDGED, Status.PICKING, Status.DELIVERING}
    assert all(step in domain.EARNED for step in [(s, Status.BRAND_NEW) for s in domain.UNPLACED])


def test_a_customer_cancels_only_where_the_table_lets_an_order_be_canceled():
    assert all(Status.CANCELED in TRANSITIONS[status] for status in domain.CANCELABLE)
    assert Status.ACKNOWLEDGED not in domain.FREELY_CANCELABLE


@pytest.mark.parametrize(
    ("found", "ordered", "sold_by"),
    [("2", "2", "count"), ("1", "2", "count"), ("1.150", "1", "weight"), ("0.001", "1", "weight")],
)
def test_what_may_be_found(found, ordered, sold_by):
    kept = domain.checked_found(Decimal(found), status="found", ordered=Decimal(ordered), sold_by=sold_by)
    assert kept == Decimal(found)


@pytest.mark.parametrize(
    ("found", "ordered", "sold_by"),
    [
        ("3", "2", "count"),
        ("1.5", "2", "count"),
        ("1.151", "1", "weight"),
        ("1.0001", "1", "weight"),
        ("0", "1", "weight"),
        ("-1", "2", "count"),
        ("NaN", "1", "weight"),
        ("Infinity", "1", "weight"),
    ],
)
def test_what_may_not_be_found(found, ordered, sold_by):
    with pytest.raises(FoundQuantityInvalid):
        domain.checked_found(Decimal(found), status="found", ordered=Decimal(ordered), sold_by=sold_by)


def test_a_refunded_line_counts_nothing_whatever_was_said():
    assert domain.checked_found(Decimal(7), status="to_refund", ordered=Decimal(1), sold_by="count") == 0


@pytest.mark.parametrize("status", ["not_picked", "replaced", "eaten", ""])
def test_a_shopper_says_found_or_refund(status):
    with pytest.raises(LineStatusInvalid):
        domain.checked_found(Decimal(1), status=status, ordered=Decimal(1), sold_by="count")


@given(
    st.lists(st.tuples(st.integers(1, 5_000), st.integers(1, 20_000), st.integers(0, 1_150)), min_size=1, max_size=30),
)
def test_what_weighs_more_stays_within_the_authorisation_but_for_rounding(lines):
    """Lines are (cents a pound, ordered grams of a pound, found per mille of the order)."""
    estimate = Money.total(Money(price).times(Decimal(grams) / 1000) for price, grams, _ in lines)
    final = [Money(p).times(round(Decimal(g) / 1000 * f / 1000, 3)) for p, g, f in lines]
    over = domain.overrun(final, domain.amount_to_authorise(estimate))
    assert 0 <= over.cents <= 10 * len(lines)
    assert Money.total(final).cents - over.cents <= domain.amount_to_authorise(estimate).cents


def test_overrun_is_what_exceeds_the_authorisation():
    assert domain.overrun([Money(400), Money(101)], Money(500)) == Money(1)
    assert domain.overrun([Money(400), Money(100)], Money(500)) == Money(0)
    assert domain.overrun([], Money(500)) == Money(0)


def test_payment_is_tried_until_the_cut_off_and_ten_minutes_at_least():
    assert domain.pay_by(NOON, NOON + timedelta(hours=3)) == NOON + timedelta(hours=3)
    assert domain.pay_by(NOON, NOON + timedelta(minutes=1)) == NOON + timedelta(minutes=10)


@pytest.mark.parametrize("key", ["x" * 81, "a\x00b", "line\nbreak"])
def test_keys_that_cannot_be_kept(key):
    with pytest.raises(IdempotencyKeyMissing):
        domain.checked_key(key)


def test_no_key_and_a_good_key_are_kept():
    assert domain.checked_key("") == ""
    assert domain.checked_key("k" * 80) == "k" * 80
