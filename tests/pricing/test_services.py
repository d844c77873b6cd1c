from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError

import sharding
from apps.common.geo import Point
from apps.common.money import Money
from apps.pricing import models, selectors, services
from apps.pricing.errors import RateInvalid
from apps.pricing.types import Fee
from apps.stores.types import Store

NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)
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


def fees_for(store, window_fee=0, *, now=NOW, **place):
    return selectors.fees_for(store=store, window_fee=Money(window_fee), now=now, **place)


def test_what_an_installation_starts_with(django_assert_num_queries):
    services.seed_defaults()
    with django_assert_num_queries(3):
        fees = fees_for(COLUMBUS, 399)
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
        Fee(code="small_basket", label="Small basket", flat=Money(200), goods_below=Money(3500)),
        Fee(code="bag", label="Bags", flat=Money(10)),
        Fee(code="heavy", label="Heavy order", flat=Money(500), grams_above=22_680),
    )
    assert fees.surge_percent == 0
    assert fees.tax_percent == {"general": Decimal(8), "alcohol": Decimal(8)}


def test_distance_and_priority_are_reasons_for_a_fee():
    services.seed_defaults()
    there = [fee.code for fee in fees_for(COLUMBUS, distance_m=8_000).fees]
    far = [fee.code for fee in fees_for(COLUMBUS, distance_m=8_001, is_priority=True).fees]
    assert there == ["delivery", "service", "small_basket", "bag", "heavy"]
    assert far == ["delivery", "service", "small_basket", "bag", "priority", "heavy", "distance"]


def test_a_surge_is_of_its_zone_and_ends_by_itself():
    services.set_surge(zone_id=1, percent=Decimal("12.5"), ends_at=NOW + timedelta(hours=1))
    assert fees_for(COLUMBUS).surge_percent == Decimal("12.5")
    assert fees_for(replace(COLUMBUS, zone_id=2)).surge_percent == 0
    assert fees_for(COLUMBUS, now=NOW + timedelta(hours=1)).surge_percent == 0
    services.set_surge(zone_id=1, percent=Decimal(0), ends_at=NOW + timedelta(hours=1))
    assert fees_for(COLUMBUS).surge_percent == 0


@pytest.mark.parametrize("percent", ["-0.01", "30.01", "100"])
def test_a_surge_above_the_cap_is_refused_by_the_service_and_by_the_database(percent):
    with pytest.raises(RateInvalid):
        services.set_surge(zone_id=1, percent=Decimal(percent), ends_at=NOW)
    with pytest.raises(IntegrityError), sharding.atomic("default"):
        models.Surge.objects.create(zone_id=1, percent=Decimal(percent), ends_at=NOW)
    assert not models.Surge.objects.exists()


def test_the_longest_postcode_prefix_counts():
    services.seed_defaults()
    services.set_tax_rate(state="OH", postcode_prefix="43215", tax_category="general", percent=Decimal("8.25"))
    rates = fees_for(COLUMBUS).tax_percent
    assert rates == {"general": Decimal("8.25"), "alcohol": Decimal(8)}
    cleveland = replace(COLUMBUS, postcode="44101")
    assert fees_for(cleveland).tax_percent["general"] == Decimal("5.75")


def test_a_store_where_groceries_are_taxed():
    services.seed_defaults()
    nashville = replace(COLUMBUS, state="TN", postcode="37201")
    assert fees_for(nashville).tax_percent == {
        "general": Decimal(7),
        "alcohol": Decimal(7),
        "grocery": Decimal(4),
    }


def test_a_rule_of_the_store_goes_before_the_general_one():
    services.set_fee(code="service", label="Service fee", percent=Decimal(5))
    services.set_fee(code="service", label="Helping hand", flat_cents=250, store_id=7)
    services.set_fee(code="service", label="Not theirs", flat_cents=999, store_id=8)
    fees = fees_for(COLUMBUS).fees
    assert [(fee.label, fee.flat) for fee in fees] == [("Delivery", Money(0)), ("Helping hand", Money(250))]
    services.set_fee(code="service", label="Helping hand", store_id=7, is_active=False)
    assert [fee.code for fee in fees_for(COLUMBUS).fees] == ["delivery"]


def test_seeding_again_changes_nothing():
    services.seed_defaults()
    services.set_fee(code="service", label="Ours", flat_cents=100)
    services.set_fee(code="bag", label="Bags", flat_cents=25)
    rules = models.FeeRule.objects.count()
    services.set_tax_rate(state="OH", postcode_prefix="432", tax_category="general", percent=Decimal("7.5"))
    before = models.TaxRate.objects.count()
    services.seed_defaults()
    assert models.TaxRate.objects.count() == before
    assert models.FeeRule.objects.count() == rules
    assert models.FeeRule.objects.get(code="service").label == "Ours"
    assert models.FeeRule.objects.get(code="bag").flat_cents == 25
    assert fees_for(COLUMBUS).tax_percent["general"] == Decimal("7.5")


@pytest.mark.parametrize("percent", ["-0.1", "100.1", "NaN", "Infinity"])
def test_an_impossible_tax_is_refused(percent):
    with pytest.raises(RateInvalid):
        services.set_tax_rate(state="OH", tax_category="general", percent=Decimal(percent))
    assert not models.TaxRate.objects.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"code": "surge"},
        {"code": "delivery"},
        {"goods_below_cents": 0},
        {"grams_above": -1},
        {"flat_cents": -1},
        {"percent": Decimal(101)},
        {"minimum_cents": 5, "maximum_cents": 4},
        {"minimum_cents": -1},
    ],
)
def test_an_impossible_fee_is_refused(wrong):
    with pytest.raises(RateInvalid):
        services.set_fee(**{"code": "service", "label": "Wrong", **wrong})
    assert not models.FeeRule.objects.exists()
