from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.fulfilment import domain
from apps.fulfilment.domain import Status
from apps.fulfilment.errors import FoundQuantityInvalid

D = Decimal


@pytest.mark.parametrize(
    ("found", "ordered", "sold_by"),
    [("1", "3", "count"), ("3", "3", "count"), ("2.875", "2.5", "weight"), ("0.001", "2.5", "weight")],
)
def test_what_may_be_found(found, ordered, sold_by):
    assert domain.checked_found(D(found), ordered=D(ordered), sold_by=sold_by) == D(found)


@pytest.mark.parametrize(
    ("found", "ordered", "sold_by"),
    [
        ("0", "3", "count"),
        ("-1", "3", "count"),
        ("4", "3", "count"),
        ("1.5", "3", "count"),
        ("0", "2.5", "weight"),
        ("2.876", "2.5", "weight"),
        ("1.0001", "2.5", "weight"),
        ("NaN", "2.5", "weight"),
        ("Infinity", "2.5", "weight"),
        ("1E+30", "2.5", "weight"),
    ],
)
def test_what_may_not_be_found(found, ordered, sold_by):
    with pytest.raises(FoundQuantityInvalid):
        domain.checked_found(D(found), ordered=D(ordered), sold_by=sold_by)


def test_the_states_and_the_only_ways_between_them():
    assert {status: sorted(following) for status, following in domain.TRANSITIONS.items()} == {
        "waiting": ["assigned", "canceled"],
        "assigned": ["canceled", "picking", "waiting"],
        "picking": ["canceled", "checkout", "waiting"],
        "checkout": ["canceled", "delivering"],
        "delivering": ["canceled", "delivered"],
        "delivered": [],
        "canceled": [],
    }
    assert domain.before(Status.CANCELED) == {"waiting", "assigned", "picking", "checkout", "delivering"}


@pytest.mark.parametrize("status", list(Status))
def test_a_canceled_order_has_reached_nothing_and_the_others_what_lies_behind_them(status):
    reached = [stage for stage in domain.STAGES if domain.has_reached(status, stage)]
    expected = [] if status == "canceled" else list(domain.STAGES[: domain.STAGES.index(status) + 1])
    assert reached == expected


def test_aisles_sort_as_one_walks_them():
    aisles = ["10", "2", "", "2B", "Bakery", "1"]
    assert sorted(aisles, key=lambda aisle: domain.aisle_key(aisle, 0)) == ["1", "2", "2B", "10", "Bakery", ""]


@given(st.lists(st.tuples(st.integers(1, 5), st.sampled_from(["found", "to_refund"]), st.integers(1, 9).map(D))))
def test_what_left_the_shelf_is_what_was_found(lines):
    expected = sum((found for _, status, found in lines if status == "found"), start=D(0))
    assert sum(domain.taken(lines).values(), start=D(0)) == expected


def test_weighed_lines_are_one_thing_to_take_pieces_are_each():
    assert domain.unit_count([("count", D(3)), ("weight", D("2.5")), ("count", D(1))]) == 5
