from dataclasses import replace
from decimal import Decimal

import pytest

from apps.common.geo import Point
from apps.common.money import Money
from apps.pricing import models, selectors, services
from apps.pricing.errors import RateInvalid
from apps.pricing.types import Fee
from apps.stores.types import Store

pytestmark = pytest.mark.django_db(databases=["default"])

COLUMBUS = Store(
    id=7,
    retailer_id=1,
    retailer_name="Fresh",
    code="fresh-1",
    name="Fresh, High Street",
    address="1 High Street",
    city="Columbus",
    state="OH",
    postcode="43215",
    point=Point(39.96, -83.0),
    timezone="America/New_York",
    currency="USD",
    zone_id=1,
    delivery_radius_m=10_000,
    minimum_basket=Money(1000),
    is_paused=False,
)


def test_what_an_installation_starts_with(django_assert_num_queries):
    services.seed_defaults()
    with django_assert_num_queries(2):
        fees = selectors.fees_for(store=COLUMBUS, window_fee=Money(399))
    assert fees.currency == "USD"
    assert fees.fees == (
        Fee(code="delivery", label="Delivery", flat=Money(399), tax_category="delivery"),
        Fee(
            code="service",
            label="Service fee",
            flat=Money(0),
            percent=Decimal(5),
            minimum=Money(199),
            maximum=Money(1999),
            tax_category="service",
        ),
    )
    assert fees.tax_percent == {"general": Decimal(8), "alcohol": Decimal(8)}


def test_the_longest_postcode_prefix_counts():
    services.seed_defaults()
    services.set_tax_rate(state="OH", postcode_prefix="43215", tax_category="general", percent=Decimal("8.25"))
    rates = selectors.fees_for(store=COLUMBUS, window_fee=Money(0)).tax_percent
    assert rates == {"general": Decimal("8.25"), "alcohol": Decimal(8)}
    cleveland = replace(COLUMBUS, postcode="44101")
    assert selectors.fees_for(store=cleveland, window_fee=Money(0)).tax_percent["general"] == Decimal("5.75")


def test_a_store_where_groceries_are_taxed():
    services.seed_defaults()
    nashville = replace(COLUMBUS, state="TN", postcode="37201")
    assert selectors.fees_for(store=nashville, window_fee=Money(0)).tax_percent == {
        "general": Decimal(7),
        "alcohol": Decimal(7),
        "grocery": Decimal(4),
    }


def test_a_rule_of_the_store_goes_before_the_general_one():
    services.seed_defaults()
    services.set_fee(code="service", label="Helping hand", flat_cents=250, store_id=7)
    services.set_fee(code="service", label="Not theirs", flat_cents=999, store_id=8)
    fees = selectors.fees_for(store=COLUMBUS, window_fee=Money(0)).fees
    assert [(fee.label, fee.flat) for fee in fees] == [("Delivery", Money(0)), ("Helping hand", Money(250))]
    services.set_fee(code="service", label="Helping hand", store_id=7, is_active=False)
    assert [fee.code for fee in selectors.fees_for(store=COLUMBUS, window_fee=Money(0)).fees] == ["delivery"]


def test_seeding_again_changes_nothing():
    services.seed_defaults()
    services.set_fee(code="service", label="Ours", flat_cents=100)
    services.set_tax_rate(state="OH", postcode_prefix="432", tax_category="general", percent=Decimal("7.5"))
    before = models.TaxRate.objects.count()
    services.seed_defaults()
    assert models.TaxRate.objects.count() == before
    assert models.FeeRule.objects.get().label == "Ours"
    assert selectors.fees_for(store=COLUMBUS, window_fee=Money(0)).tax_percent["general"] == Decimal("7.5")


@pytest.mark.parametrize("percent", ["-0.1", "100.1", "NaN", "Infinity"])
def test_an_impossible_tax_is_refused(percent):
    with pytest.raises(RateInvalid):
        services.set_tax_rate(state="OH", tax_category="general", percent=Decimal(percent))
    assert not models.TaxRate.objects.exists()


@pytest.mark.parametrize(
    "wrong",
    [{"flat_cents": -1}, {"percent": Decimal(101)}, {"minimum_cents": 5, "maximum_cents": 4}, {"minimum_cents": -1}],
)
def test_an_impossible_fee_is_refused(wrong):
    with pytest.raises(RateInvalid):
        services.set_fee(code="service", label="Wrong", **wrong)
    assert not models.FeeRule.objects.exists()
