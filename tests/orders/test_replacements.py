"""What a replacement costs, whoever answers: rules that need no database, and the bill that follows them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.common.money import Money
from apps.orders import replacements
from apps.orders.models import Order, OrderLine, Replacement
from apps.orders.services.amounts import _delivered, _protection
from apps.orders.types import ReplacementStatus
from apps.pricing import selectors as pricing
from apps.pricing.types import Discount, Fees

APPROVED, AUTO, REJECTED = ReplacementStatus.APPROVED, ReplacementStatus.AUTO_APPROVED, ReplacementStatus.REJECTED
cents = st.integers(1, 50_000)
deposits = st.integers(0, 500)
pieces = st.integers(1, 20).map(Decimal)
weights = st.integers(1, 20_000).map(lambda grams: Decimal(grams) / 1000)
quantities = pieces | weights


@given(cents, cents)
def test_unasked_it_costs_at_most_a_tenth_more_and_never_more_than_shown(shown, ordered):
    paid = replacements.charged(AUTO, shown=Money(shown), ordered=Money(ordered)).cents
    assert paid <= shown
    assert paid * 100 <= ordered * 110
    assert paid == shown or (paid + 1) * 100 > ordered * 110  # no cent less than that


@given(cents, cents)
def test_approved_it_costs_what_was_shown(shown, ordered):
    assert replacements.charged(APPROVED, shown=Money(shown), ordered=Money(ordered)) == Money(shown)


@given(cents, cents, deposits, quantities, cents, deposits, quantities, st.sampled_from([APPROVED, AUTO]))
def test_the_bill_charges_just_that(list_price, price, deposit, quantity, was, was_deposit, was_quantity, status):
    # Sale, deposit and the price protection together, as the final bill prices the line beside another one.
    list_price = max(list_price, price)
    shown = replacements.cost(Money(price), Money(deposit), quantity)
    ordered = replacements.cost(Money(was), Money(was_deposit), was_quantity)
    if status is AUTO and Money(deposit).times(quantity) > replacements.most_unasked(ordered):
        return  # nobody approves that unasked; see below
    charged = replacements.charged(status, shown=shown, ordered=ordered)
    other = Replacement(
        pk=7,
        name="Cream",
        quantity=quantity,
        list_price_cents=list_price,
        unit_price_cents=price,
        deposit_cents=deposit,
        tax_category="grocery",
        unit_grams=0,
        shown_cents=shown.cents,
        charged_cents=charged.cents,
    )
    line = OrderLine(order=Order(currency="USD"), position=1, replacement_id=7)
    fees = Fees(currency="USD", fees=(), tax_percent={}, discounts=tuple(_protection([line], {7: other}, "USD")))
    bill = pricing.quote(lines=[_delivered(line, other, "USD")], fees=fees, tip=Money(0))
    assert bill.total == charged
    promotion = Discount(
        code="TEN", label="10 % off", amount=Money(0), percent=Decimal(10), line_refs=frozenset({1}), promotion_id=1
    )
    both = Fees(currency="USD", fees=(), tax_percent={}, discounts=(*fees.discounts, promotion))
    assert pricing.quote(lines=[_delivered(line, other, "USD")], fees=both, tip=Money(0)).total <= charged


@pytest.mark.parametrize(
    ("policy", "wished", "item", "deposit", "becomes"),
    [
        ("best_match", None, 5, 0, AUTO),
        ("best_match", None, None, 0, AUTO),
        ("item", 5, 5, 0, AUTO),
        ("item", 5, 6, 0, REJECTED),
        ("item", 5, None, 0, REJECTED),
        ("refund", None, 5, 0, REJECTED),
        ("best_match", None, 5, 110, AUTO),
        ("best_match", None, 5, 111, REJECTED),
    ],
)
def test_what_becomes_of_a_question_that_nobody_answers(policy, wished, item, deposit, becomes):
    said = replacements.unanswered(
        policy, wished_item_id=wished, item_id=item, ordered=Money(100), deposit=Money(deposit)
    )
    assert said is becomes
