from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.common.money import Money

cents = st.integers(-(10**12), 10**12)


@given(st.lists(cents))
def test_a_total_is_the_sum_of_its_cents(amounts):
    assert Money.total(map(Money, amounts)) == Money(sum(amounts))


@pytest.mark.parametrize(
    ("price", "quantity", "expected"),
    [(129, "0.500", 65), (129, "1.5", 194), (1, "0.5", 1), (-1, "0.5", -1), (99, "3", 297), (333, "0.001", 0)],
)
def test_half_a_cent_rounds_away_from_zero_like_a_till(price, quantity, expected):
    assert Money(price).times(Decimal(quantity)) == Money(expected)


def test_currencies_do_not_mix():
    with pytest.raises(ValueError, match="do not add up"):
        Money(1, "USD") + Money(1, "EUR")


@pytest.mark.parametrize(
    ("money", "text"),
    [(Money(0), "$0.00"), (Money(5), "$0.05"), (Money(123456), "$1,234.56"), (Money(-250), "-$2.50")],
)
def test_money_reads_like_a_price(money, text):
    assert str(money) == text
