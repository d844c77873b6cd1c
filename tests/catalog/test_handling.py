from decimal import Decimal

import pytest

from apps.catalog import selectors
from apps.catalog.domain import handling
from apps.catalog.types import Handling
from tests.orders.factories import BANANAS, MILK, make_market
from tests.queries import counted


@pytest.fixture
def market():
    return make_market()


@pytest.mark.django_db(databases="__all__")
def test_what_goods_together_weigh_and_need(market):
    ids = market.item_ids
    with counted() as queries:
        found = selectors.handling(
            store_id=market.store_id,
            quantities=[(ids[BANANAS], Decimal("2.5")), (ids[MILK], Decimal(2)), (1, Decimal(3))],
        )
    assert queries.total == 2
    bananas, milk = (
        handling.kilograms(item, Decimal(quantity))
        for item, quantity in zip(
            map(selectors.items_by_id(store_id=market.store_id, item_ids=ids.values()).get, (ids[BANANAS], ids[MILK])),
            ("2.5", "2"),
            strict=True,
        )
    )
    assert bananas == Decimal("1.133980925")
    assert found == Handling(kilograms=bananas + milk + Decimal("1.5"), has_alcohol=False, is_cold=True)


@pytest.mark.parametrize(
    ("unit", "size", "quantity", "kilograms"),
    [
        ("lb", "", "2", "0.90718474"),
        ("kg", "500 g", "1.25", "1.25"),
        ("each", "4 lb bag", "2", "3.62873896"),
        ("each", "6 pack, 12 fl oz", "1", "2.1292941285"),
        ("each", "1 gal", "2", "7.570823568"),
        ("each", "2 l", "3", "6"),
        ("each", "12 ct", "2", "1.0"),
        ("each", "", "3", "1.5"),
    ],
)
def test_weights(unit, size, quantity, kilograms):
    item = type("Item", (), {"cost_unit": unit, "size": size})()
    assert handling.kilograms(item, Decimal(quantity)) == Decimal(kilograms)


@pytest.mark.parametrize(
    ("slug", "is_cold"), [("frozen", True), ("dairy-eggs", True), ("meat-seafood", True), ("pantry", False)]
)
def test_what_is_kept_cold(slug, is_cold):
    assert handling.is_cold(type("Item", (), {"department_slug": slug})()) is is_cold
