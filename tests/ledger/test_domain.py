import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.ledger import domain
from apps.ledger.types import Account
from apps.pricing import types as pricing

KINDS = ("item", "deposit", "fee", "tax", "tip", "discount")


def by_account(lines):
    return {str(account): cents for account, cents in domain.summed(lines).items()}


def test_each_kind_goes_to_whom_it_is_owed():
    lines = domain.sale(
        {"item": 2000, "deposit": 60, "fee": 599, "tax": 120, "tip": 300, "discount": -4}, basis_points=1500
    )
    assert by_account(lines) == {
        "customer": 3075,
        "store_payable": -1760,
        "platform_revenue": -895,
        "tax": -120,
        "tip": -300,
    }


def test_a_kind_without_an_account_is_refused():
    with pytest.raises(KeyError):
        domain.sale({"item": 100, "gift": 5}, basis_points=1500)


@pytest.mark.parametrize(("cents", "part"), [(0, 0), (3, 0), (4, 1), (10, 2), (100, 15), (1999, 300)])
def test_the_commission_is_rounded_once_half_up(cents, part):
    assert domain.commission(cents, 1500) == part


@given(st.dictionaries(st.sampled_from(KINDS), st.integers(-100_000, 100_000)), st.integers(0, 10_000))
def test_a_sale_leaves_no_cent_out(sums, basis_points):
    lines = domain.sale(sums, basis_points=basis_points)
    moved = domain.summed(lines)
    assert sum(moved.values()) == 0
    assert moved.get(Account.CUSTOMER, 0) == sum(sums.values())
    assert all(line.cents > 0 and line.debit != line.credit for line in lines)


@given(st.lists(st.integers(1, 5_000), min_size=1, max_size=8), st.integers(0, 10_000))
def test_when_all_items_were_given_back_nobody_keeps_any_of_it(parts, basis_points):
    sale = domain.sale({"item": sum(parts)}, basis_points=basis_points)
    sold = {line.kind: line.cents for line in sale}
    returned: dict[str, int] = {}
    lines = [*sale]
    for cents in parts:
        back = domain.share_back(cents, sold=sold, kind="item", returned=returned)
        for line in back:
            returned[line.kind] = returned.get(line.kind, 0) + line.cents
        assert sum(line.cents for line in back) == cents
        lines += back
    assert set(domain.summed(lines).values()) == {0}


def test_every_kind_of_money_line_that_pricing_knows_has_an_account():
    kinds = {value for name, value in vars(pricing).items() if name.isupper() and isinstance(value, str)}
    codes = {pricing.SALE, pricing.SURGE, *pricing.ENDINGS}  # of stages and occasions, which are discounts and fees
    assert kinds - codes - {pricing.REFUND} == set(domain.CREDITED) - {domain.COMMISSION}
