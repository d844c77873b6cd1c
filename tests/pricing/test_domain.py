from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.common.money import Money
from apps.pricing import domain
from apps.pricing.errors import TipInvalid
from apps.pricing.types import Charge, Fee, Fees, PricedLine

NO_FEES = Fees(currency="USD", fees=(), tax_percent={})


def line(ref=1, *, quantity="1", cents=100, category="general", deposit=0, name="Thing"):
    return PricedLine(
        line_ref=ref,
        name=name,
        quantity=Decimal(quantity),
        unit_price=Money(cents),
        tax_category=category,
        deposit=Money(deposit),
    )


def test_every_charge_of_a_mixed_basket():
    fees = Fees(
        currency="USD",
        fees=(
            Fee(code="delivery", label="Delivery", flat=Money(399), tax_category="delivery"),
            Fee(code="service", label="Service fee", flat=Money(0), percent=Decimal(5), minimum=Money(199)),
        ),
        tax_percent={"general": Decimal(8), "grocery": Decimal(0), "delivery": Decimal(8)},
    )
    lines = [
        line(1, name="Bananas", quantity="2.345", cents=59, category="grocery"),
        line(2, name="Cola", quantity="6", cents=129, deposit=10),
        line(3, name="Soap", quantity="1", cents=333),
    ]
    quote = domain.quote(lines=lines, fees=fees, tip=Money(500))
    assert quote.charges == (
        Charge(kind="item", label="Bananas", amount=Money(138), line_ref=1),
        Charge(kind="item", label="Cola", amount=Money(774), line_ref=2),
        Charge(kind="item", label="Soap", amount=Money(333), line_ref=3),
        Charge(kind="deposit", label="Deposit, Cola", amount=Money(60), line_ref=2),
        Charge(kind="fee", label="Delivery", amount=Money(399)),
        Charge(kind="fee", label="Service fee", amount=Money(199)),
        Charge(kind="tax", label="Tax on delivery", amount=Money(32)),
        Charge(kind="tax", label="Sales tax", amount=Money(89)),
        Charge(kind="tip", label="Tip", amount=Money(500)),
    )
    assert quote.total == Money(2524)
    assert quote.of("item") == Money(1245)


def test_a_category_is_taxed_once_not_line_by_line():
    """Ten lines of 6 cents at 8 percent: 4.8 cents on the sum, nothing if each line were rounded."""
    fees = Fees(currency="USD", fees=(), tax_percent={"general": Decimal(8)})
    quote = domain.quote(lines=[line(n, cents=6) for n in range(10)], fees=fees, tip=Money(0))
    assert quote.of("tax") == Money(5)


@pytest.mark.parametrize(("quantity", "cents"), [("0.5", 1), ("1.5", 2), ("2.499", 2), ("2.5", 3)])
def test_half_a_cent_rounds_up(quantity, cents):
    assert domain.quote(lines=[line(quantity=quantity, cents=1)], fees=NO_FEES, tip=Money(0)).total == Money(cents)


@pytest.mark.parametrize(("goods", "fee"), [(1, 199), (3980, 199), (3990, 200), (39980, 1999), (99900, 1999)])
def test_a_share_is_held_within_its_limits(goods, fee):
    service = Fee(
        code="s",
        label="S",
        flat=Money(0),
        percent=Decimal(5),
        minimum=Money(199),
        maximum=Money(1999),
        tax_category="x",
    )
    fees = Fees(currency="USD", fees=(service,), tax_percent={})
    assert domain.quote(lines=[line(cents=goods)], fees=fees, tip=Money(0)).of("fee") == Money(fee)


def test_an_order_of_which_nothing_was_found_costs_its_tip():
    fees = Fees(currency="USD", fees=(Fee(code="d", label="D", flat=Money(399)),), tax_percent={"service": Decimal(8)})
    assert domain.quote(lines=[], fees=fees, tip=Money(300)).charges == (
        Charge(kind="tip", label="Tip", amount=Money(300)),
    )


@pytest.mark.parametrize("cents", [-1, domain.MAX_TIP_CENTS + 1])
def test_a_tip_out_of_range_is_refused(cents):
    with pytest.raises(TipInvalid):
        domain.quote(lines=[line()], fees=NO_FEES, tip=Money(cents))


percents = st.decimals(min_value=0, max_value=100, places=4)
categories = st.sampled_from(["grocery", "general", "alcohol", "service"])
cents = st.integers(min_value=0, max_value=100_000)
lines = st.builds(
    line,
    quantity=st.decimals(min_value=0, max_value=99, places=3),
    cents=cents,
    category=categories,
    deposit=st.integers(min_value=0, max_value=200),
)
fees_of = st.builds(
    lambda fees, taxes: Fees(currency="USD", fees=tuple(fees), tax_percent=taxes),
    st.lists(
        st.builds(
            lambda flat, percent, category: Fee(
                code="f", label="F", flat=Money(flat), percent=percent, tax_category=category
            ),
            cents,
            percents,
            categories,
        ),
        max_size=3,
    ),
    st.dictionaries(categories, percents),
)


@given(lines=st.lists(lines, max_size=20), fees=fees_of, tip=st.integers(0, domain.MAX_TIP_CENTS))
def test_charges_are_whole_cents_and_sum_to_the_total(lines, fees, tip):
    quote = domain.quote(lines=lines, fees=fees, tip=Money(tip))
    assert all(type(charge.amount.cents) is int and charge.amount.cents >= 0 for charge in quote.charges)
    assert sum(charge.amount.cents for charge in quote.charges) == quote.total.cents
    assert len([charge for charge in quote.charges if charge.kind == "item"]) == len(lines)


@given(lines=st.lists(lines, min_size=1, max_size=20), fees=fees_of)
def test_no_charge_is_more_than_half_a_cent_off(lines, fees):
    quote = domain.quote(lines=lines, fees=fees, tip=Money(0))
    exact_items = sum(line.unit_price.cents * line.quantity for line in lines)
    assert abs(quote.of("item").cents - exact_items) <= Decimal(len(lines)) / 2
    taxable: dict[str, int] = {}
    for line_, item in zip(lines, quote.charges, strict=False):
        taxable[line_.tax_category] = taxable.get(line_.tax_category, 0) + item.amount.cents
    for fee in fees.fees:
        amount = fee.flat + quote.of("item").times(fee.percent / 100)
        taxable[fee.tax_category] = taxable.get(fee.tax_category, 0) + amount.cents
    exact_tax = sum(cents * fees.tax_percent.get(category, Decimal(0)) / 100 for category, cents in taxable.items())
    assert abs(quote.of("tax").cents - exact_tax) <= Decimal(len(taxable)) / 2


@given(lines=st.lists(lines, min_size=1, max_size=10), fees=fees_of, data=st.data())
def test_finding_less_never_costs_more(lines, fees, data):
    """The final bill of the same function is at most the estimate when less was found."""
    found = [
        line(n, quantity=data.draw(st.decimals(0, full.quantity, places=3)), cents=full.unit_price.cents,
             category=full.tax_category, deposit=full.deposit.cents)
        for n, full in enumerate(lines)
    ]  # fmt: skip
    estimate = domain.quote(lines=lines, fees=fees, tip=Money(0))
    assert domain.quote(lines=found, fees=fees, tip=Money(0)).total <= estimate.total
