from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.common.money import Money
from apps.pricing import domain
from apps.pricing.errors import TipInvalid
from apps.pricing.types import Charge, Discount, Fee, Fees, PricedLine

NO_FEES = Fees(currency="USD", fees=(), tax_percent={})


def line(ref=1, *, quantity="1", cents=100, category="general", deposit=0, name="Thing", sale=None, grams=0):
    return PricedLine(
        line_ref=ref,
        name=name,
        quantity=Decimal(quantity),
        unit_price=Money(cents),
        tax_category=category,
        deposit=Money(deposit),
        sale_price=None if sale is None else Money(sale),
        unit_grams=grams,
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
        Charge(kind="item", code="item", label="Bananas", amount=Money(138), line_ref=1),
        Charge(kind="item", code="item", label="Cola", amount=Money(774), line_ref=2),
        Charge(kind="item", code="item", label="Soap", amount=Money(333), line_ref=3),
        Charge(kind="fee", code="delivery", label="Delivery", amount=Money(399)),
        Charge(kind="fee", code="service", label="Service fee", amount=Money(199)),
        Charge(kind="deposit", code="deposit", label="Deposit, Cola", amount=Money(60), line_ref=2),
        Charge(kind="tax", code="delivery", label="Tax on delivery", amount=Money(32), base=Money(399)),
        Charge(kind="tax", code="general", label="Sales tax", amount=Money(89), base=Money(1107)),
        Charge(kind="tip", code="tip", label="Tip", amount=Money(500)),
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
        Charge(kind="tip", code="tip", label="Tip", amount=Money(300)),
    )


@pytest.mark.parametrize("cents", [-1, domain.MAX_TIP_CENTS + 1])
def test_a_tip_out_of_range_is_refused(cents):
    with pytest.raises(TipInvalid):
        domain.quote(lines=[line()], fees=NO_FEES, tip=Money(cents))


def test_every_stage_of_the_pipeline_has_a_charge_of_its_own():
    fees = Fees(
        currency="USD",
        fees=(
            Fee(code="delivery", label="Delivery", flat=Money(400), tax_category="delivery"),
            Fee(code="service", label="Service fee", flat=Money(0), percent=Decimal(5)),
        ),
        tax_percent={"general": Decimal(8), "service": Decimal(10), "surge": Decimal(10)},
        surge_percent=Decimal(20),
        discounts=(
            Discount(
                code="SAVE10",
                label="Ten off",
                amount=Money(0),
                percent=Decimal(10),
                line_refs=frozenset({1, 2}),
                promotion_id=7,
            ),
        ),
    )
    lines = [line(1, name="Cola", quantity="3", cents=500, sale=400, deposit=10), line(2, name="Soap", cents=800)]
    quote = domain.quote(lines=lines, fees=fees, tip=Money(300))
    assert [(charge.kind, charge.code, charge.line_ref, charge.amount.cents) for charge in quote.charges] == [
        ("item", "item", 1, 1500),
        ("item", "item", 2, 800),
        ("discount", "sale", 1, -300),
        ("discount", "SAVE10", 1, -120),
        ("discount", "SAVE10", 2, -80),
        ("fee", "delivery", None, 400),
        ("fee", "service", None, 90),
        ("deposit", "deposit", 1, 30),
        ("tax", "general", None, 144),
        ("tax", "service", None, 9),
        ("tax", "surge", None, 10),
        ("tip", "tip", None, 300),
        ("fee", "surge", None, 98),
    ]
    assert quote.total == Money(2881)


def test_a_fee_with_a_reason_is_charged_only_for_it():
    small = Fee(code="small", label="S", flat=Money(200), goods_below=Money(1000))
    heavy = Fee(code="heavy", label="H", flat=Money(500), grams_above=1000)
    fees = Fees(currency="USD", fees=(small, heavy), tax_percent={})

    def codes(*lines):
        quote = domain.quote(lines=lines, fees=fees, tip=Money(0))
        return [charge.code for charge in quote.charges if charge.kind == "fee"]

    assert codes(line(cents=999, grams=1000)) == ["small"]
    assert codes(line(cents=1000, grams=1001)) == ["heavy"]
    assert codes(line(cents=1200, sale=999)) == ["small"]  # what is paid for the goods counts
    assert codes(line(1, quantity="2", cents=500, grams=400), line(2, cents=1, grams=201)) == ["heavy"]


def test_a_fee_may_fall_away_at_the_final_bill_and_none_comes():
    small = Fee(code="small", label="S", flat=Money(200), goods_below=Money(1000))
    heavy = Fee(code="heavy", label="H", flat=Money(500), grams_above=1000)
    ordered = [line(cents=600, grams=900, quantity="2")]
    kept = domain.applying(lines=ordered, fees=Fees(currency="USD", fees=(small, heavy), tax_percent={}))
    assert [fee.code for fee in kept.fees] == ["heavy"]
    final = domain.quote(lines=[line(cents=600, grams=900)], fees=kept, tip=Money(0))
    assert final.total == Money(600)  # neither heavy any more nor charged for being small now


def test_promotions_follow_each_other_and_take_no_more_than_there_is():
    def off(number, *, cents=0, percent=0, refs=(1, 2)):
        return Discount(
            code=f"P{number}",
            label="P",
            amount=Money(cents),
            percent=Decimal(percent),
            line_refs=frozenset(refs),
            promotion_id=number,
        )

    fees = Fees(
        currency="USD",
        fees=(),
        tax_percent={"general": Decimal(10)},
        discounts=(off(1, percent=50), off(2, cents=400, refs=[1]), off(3, cents=999)),
    )
    quote = domain.quote(lines=[line(1, cents=1000), line(2, cents=301)], fees=fees, tip=Money(0))
    given = [(charge.code, charge.line_ref, charge.amount.cents) for charge in quote.charges if charge.kind != "item"]
    assert given == [("P1", 1, -500), ("P1", 2, -151), ("P2", 1, -400), ("P3", 1, -100), ("P3", 2, -150)]
    assert quote.total == Money(0)


@given(over=st.lists(st.integers(0, 10_000), max_size=20), data=st.data())
def test_the_parts_of_a_discount_sum_to_it_and_none_exceeds_its_line(over, data):
    amount = data.draw(st.integers(0, sum(over)))
    parts = domain.spread(amount, over)
    assert sum(parts) == amount
    assert all(0 <= part <= weight for part, weight in zip(parts, over, strict=True))


percents = st.decimals(min_value=0, max_value=100, places=4)
categories = st.sampled_from(["grocery", "general", "alcohol", "service"])
cents = st.integers(min_value=0, max_value=100_000)
lines = st.builds(
    line,
    quantity=st.decimals(min_value=0, max_value=99, places=3),
    cents=cents,
    category=categories,
    deposit=st.integers(min_value=0, max_value=200),
    grams=st.integers(0, 2_000),
)
fees_of = st.builds(
    lambda fees, taxes: Fees(currency="USD", fees=tuple(fees), tax_percent=taxes),
    st.lists(
        st.builds(
            lambda code, flat, percent, category: Fee(
                code=code, label="F", flat=Money(flat), percent=percent, tax_category=category
            ),
            st.sampled_from("abc"),
            cents,
            percents,
            categories,
        ),
        max_size=3,
        unique_by=lambda fee: fee.code,
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


@st.composite
def whole_orders(draw):
    """Lines with and without a sale, fees with and without a reason, promotions, and a surge."""
    basket = []
    for number in range(draw(st.integers(1, 8))):
        full = draw(lines)
        sale = draw(st.none() | st.integers(0, full.unit_price.cents))
        basket.append(replace(full, line_ref=number, sale_price=None if sale is None else Money(sale)))
    fees = draw(fees_of)
    reasons = st.tuples(st.none() | cents.map(Money), st.none() | st.integers(0, 20_000))
    discounts = st.builds(
        lambda amount, percent, refs: Discount(
            code="P", label="P", amount=Money(amount), percent=percent, line_refs=frozenset(refs), promotion_id=1
        ),
        st.integers(0, 5_000),
        percents,
        st.sets(st.integers(0, 8)),
    )
    return basket, replace(
        fees,
        fees=tuple(
            replace(fee, goods_below=below, grams_above=above) for fee in fees.fees for below, above in [draw(reasons)]
        ),
        discounts=tuple(draw(st.lists(discounts, max_size=3))),
        surge_percent=draw(st.decimals(0, 30, places=2)),
    )


@given(order=whole_orders(), tip=st.integers(0, domain.MAX_TIP_CENTS))
def test_what_holds_for_every_order(order, tip):
    basket, fees = order
    quote = domain.quote(lines=basket, fees=fees, tip=Money(tip))
    assert sum(charge.amount.cents for charge in quote.charges) == quote.total.cents >= tip
    for one in basket:
        mine = [charge.amount.cents for charge in quote.charges if charge.line_ref == one.line_ref]
        goods = [c for c in quote.charges if c.line_ref == one.line_ref and c.kind in ("item", "discount")]
        assert sum(charge.amount.cents for charge in goods) >= 0, mine
    assert all((charge.amount.cents < 0) == (charge.kind == "discount") for charge in quote.charges if charge.amount)
    charged = sum(c.amount.cents for c in quote.charges if c.kind == "fee" and c.code != "surge")
    surge = sum(c.amount.cents for c in quote.charges if c.code == "surge")
    assert 10 * surge <= 3 * charged + 5
    for tax in (charge for charge in quote.charges if charge.kind == "tax"):
        of_lines = {one.line_ref for one in basket if one.tax_category == tax.code}
        taxed = sum(c.amount.cents for c in quote.charges if c.line_ref in of_lines and c.kind in ("item", "discount"))
        taxed += sum(
            c.amount.cents
            for c in quote.charges
            if c.kind == "fee" and tax.code in {fee.tax_category for fee in fees.fees if fee.code == c.code}
        )
        assert fees.tax_percent[tax.code] > 0
        assert tax.base == Money(taxed)


@given(order=whole_orders(), tip=st.integers(0, domain.MAX_TIP_CENTS))
def test_with_everything_found_the_final_bill_is_the_estimate(order, tip):
    basket, fees = order
    estimate = domain.quote(lines=basket, fees=fees, tip=Money(tip))
    kept = domain.applying(lines=basket, fees=fees)
    assert domain.quote(lines=basket, fees=kept, tip=Money(tip)) == estimate
