from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.orders.domain import RefundReason
from apps.support import domain
from apps.support.domain import Claim, Delivery, Fault, Kind, Status, Waits
from apps.support.errors import IssueInvalid, RatingInvalid

DUE = datetime(2026, 3, 2, 18, tzinfo=UTC)


def delivery(late=0, taken=-60, takes=30, has_gaps=False):
    """Minutes from the window's end."""
    return Delivery(
        delivered_at=DUE + timedelta(minutes=late),
        due_at=DUE,
        taken_at=None if taken is None else DUE + timedelta(minutes=taken),
        takes=timedelta(minutes=takes),
        has_gaps=has_gaps,
    )


def test_every_kind_is_a_reason_to_give_money_back():
    assert set(Kind) <= set(RefundReason)
    assert set(domain.KINDS) == set(Kind)
    assert set(domain.TITLES) == set(Status) == set(domain.TRANSITIONS)
    assert set(domain.WAITS) == set(Waits)
    assert set(domain.FAULTS) == set(Fault)
    assert set(domain.TAGS) == set(domain.Tag)


@pytest.mark.parametrize(
    ("how", "fault"),
    [
        (delivery(late=0), "nobody"),
        (delivery(late=1, taken=-30), "shopper"),
        (delivery(late=1, taken=-29), "dispatch"),
        (delivery(late=1, taken=None), "dispatch"),
    ],
)
def test_whose_fault_it_is_that_it_came_late(how, fault):
    assert domain.fault_of(Kind.LATE, how) == fault


@pytest.mark.parametrize(
    ("stars", "faults", "counts"),
    [
        (5, {"store"}, True),
        (4, {"dispatch"}, True),
        (3, {"store"}, False),
        (1, {"dispatch", "nobody"}, False),
        (1, {"dispatch", "shopper"}, True),
        (1, {"nobody"}, True),
        (1, set(), True),
    ],
)
def test_a_low_rating_counts_unless_others_are_to_blame(stars, faults, counts):
    assert domain.counts(stars, faults) is counts


def test_tags_blame_as_far_as_they_are_true():
    assert domain.faults_of(["late", "out_of_stock"], delivery(late=9, taken=-5, has_gaps=True)) == {
        "dispatch",
        "store",
    }
    assert domain.faults_of(["late", "out_of_stock"], delivery()) == {"nobody"}
    assert domain.faults_of(["fast", "friendly", "careful", "good_choices"], delivery()) == frozenset()
    assert domain.faults_of(["careless"], delivery()) == {"shopper"} == domain.faults_of(["unfriendly"], delivery())


def claim(**changes):
    usual = {"kind": Kind.MISSING, "has_line": True, "photos": 0, "cents": 500, "cents_before": 0, "reports": 1}
    return Claim(**{**usual, **changes})


@pytest.mark.parametrize(
    ("changes", "waits"),
    [
        ({}, None),
        ({"cents": 2000}, None),
        ({"cents": 2001}, Waits.MUCH),
        ({"cents": 1, "cents_before": 2000}, Waits.MUCH),
        ({"cents": 500, "cents_before": 1500}, None),
        ({"reports": 3}, None),
        ({"reports": 4}, Waits.OFTEN),
        ({"kind": Kind.WRONG_ITEM}, None),
        ({"kind": Kind.DAMAGED}, Waits.NO_PHOTO),
        ({"kind": Kind.DAMAGED, "photos": 1}, None),
        ({"kind": Kind.POOR_QUALITY}, Waits.NO_PHOTO),
        ({"kind": Kind.LATE, "has_line": False}, Waits.NO_LINE),
        ({"kind": Kind.OTHER}, Waits.NO_RULE),
    ],
)
def test_what_is_believed_at_once(changes, waits):
    assert domain.waits_for(claim(**changes)) == waits


@given(st.integers(1, 10_000), st.integers(0, 10_000), st.integers(1, 9), st.sampled_from(Kind), st.integers(0, 5))
def test_nothing_above_the_limit_is_ever_believed_at_once(cents, before, reports, kind, photos):
    asked = claim(cents=cents, cents_before=before, reports=reports, kind=kind, photos=photos)
    if domain.waits_for(asked) is None:
        assert cents + before <= 20_00
        assert reports <= 3


@pytest.mark.parametrize("quantity", ["0", "-1", "3", "1.5", "NaN", "Infinity"])
def test_quantities_nobody_was_charged(quantity):
    with pytest.raises(IssueInvalid):
        domain.checked_quantity(Decimal(quantity), found=Decimal(2), sold_by="count")


def test_a_quantity_is_all_of_it_unless_said():
    assert domain.checked_quantity(None, found=Decimal(2), sold_by="count") == 2
    assert domain.checked_quantity(Decimal("0.25"), found=Decimal("2.5"), sold_by="weight") == Decimal("0.25")
    with pytest.raises(IssueInvalid, match="three decimals"):
        domain.checked_quantity(Decimal("0.0001"), found=Decimal("2.5"), sold_by="weight")


def test_words_are_plain_and_bounded():
    assert domain.checked_words(" a\r\nb\x00\x1b[31m ") == "a\nb[31m"
    assert len(domain.checked_words("x" * 1000)) == 1000
    with pytest.raises(IssueInvalid, match="1001"):
        domain.checked_words("x" * 1001)


@pytest.mark.parametrize(
    ("kind", "has_line"), [("missing", False), ("late", True), ("stale", True), ("", False), ("Missing", True)]
)
def test_kinds_that_cannot_be_meant(kind, has_line):
    with pytest.raises(IssueInvalid):
        domain.checked_kind(kind, has_line=has_line)


def test_tags_are_each_there_once():
    assert domain.checked_tags(["late", "fast", "late"]) == ("fast", "late")
    with pytest.raises(RatingInvalid, match="'rude'"):
        domain.checked_tags(["rude"])
    for stars in (0, 6, -1):
        with pytest.raises(RatingInvalid):
            domain.checked_stars(stars)


def test_who_delivered_is_read_from_the_history():
    assert domain.shopper_id_of("shopper:3571") == 3571
    for other in ("system", "staff:7", "shopper:", "shopper:x", ""):
        assert domain.shopper_id_of(other) is None
