from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.carts import domain
from apps.carts.errors import (
    NoteTooLong,
    NoteUnprintable,
    QuantityNotWhole,
    QuantityOutOfRange,
    ReplacementPolicyUnknown,
)


@pytest.mark.parametrize(
    ("quantity", "sold_by"), [("0", "count"), ("99", "count"), ("3.000", "count"), ("0.001", "weight")]
)
def test_quantities_that_can_be_meant(quantity, sold_by):
    assert domain.checked_quantity(Decimal(quantity), sold_by=sold_by, most=99) == Decimal(quantity)


@pytest.mark.parametrize("sold_by", ["count", "weight"])
@pytest.mark.parametrize(
    "quantity", ["-1", "-0.001", "99.001", "1e9", "NaN", "sNaN", "Infinity", "-Infinity", "1e999999"]
)
def test_out_of_range(quantity, sold_by):
    with pytest.raises(QuantityOutOfRange):
        domain.checked_quantity(Decimal(quantity), sold_by=sold_by, most=99)


def test_half_a_piece_is_refused():
    with pytest.raises(QuantityNotWhole):
        domain.checked_quantity(Decimal("1.5"), sold_by="count", most=99)


@pytest.mark.parametrize("quantity", ["0.0001", "1.2345", "1e-999999"])
def test_finer_than_a_scale_is_refused(quantity):
    with pytest.raises(QuantityOutOfRange):
        domain.checked_quantity(Decimal(quantity), sold_by="weight", most=99)


@given(st.decimals(allow_nan=True, allow_infinity=True), st.sampled_from(["count", "weight"]))
def test_whatever_passes_fits_its_column(quantity, sold_by):
    try:
        passed = domain.checked_quantity(quantity, sold_by=sold_by, most=99)
    except (QuantityOutOfRange, QuantityNotWhole):
        return
    assert 0 <= passed <= 99
    assert passed == passed.quantize(Decimal("0.001"))
    assert sold_by == "weight" or passed == int(passed)


def test_notes_and_policies():
    assert domain.checked_note("  ripe,\n please ") == "ripe, please"
    with pytest.raises(NoteTooLong):
        domain.checked_note("x" * 201)
    for unprintable in ("a\x00b", "\ud800", "\x1b[31m"):
        with pytest.raises(NoteUnprintable):
            domain.checked_note(unprintable)
    with pytest.raises(ReplacementPolicyUnknown):
        domain.checked_policy("whatever")
