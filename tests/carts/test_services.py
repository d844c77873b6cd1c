from decimal import Decimal

import pytest

import sharding
from apps.carts import domain, models, selectors, services
from apps.carts.errors import (
    BelowMinimum,
    CartEmpty,
    CartFull,
    CartStale,
    LineTwice,
    NoteTooLong,
    NotSoldHere,
    NotSoldInPieces,
    QuantityNotWhole,
    QuantityOutOfRange,
    ReplacementInvalid,
)
from apps.carts.types import CartLine, LineInput
from apps.catalog import models as models_of_catalog
from apps.common.money import Money
from apps.stores.errors import StoreNotFound
from tests.carts.factories import fill_cart
from tests.catalog.factories import make_item
from tests.stores.factories import make_store

pytestmark = pytest.mark.django_db(databases="__all__")

ADA, BOB = 1, 5_001  # on different shards
NOTHING_MORE = {"replacement_item_id": None, "replacement_name": "", "pieces": None, "price_before": None}


@pytest.fixture
def store():
    return make_store()


def put(store, item, quantity, customer_id=ADA, **more):
    return services.set_line(
        customer_id=customer_id, store_id=store.id, item_id=item.id, quantity=Decimal(quantity), **more
    )


def lines(store, customer_id=ADA):
    return {line.item_id: line.quantity for line in selectors.cart(customer_id=customer_id, store_id=store.id).lines}


def test_the_two_customers_live_on_different_shards():
    assert sharding.alias_for("customer", ADA) != sharding.alias_for("customer", BOB)


@pytest.mark.parametrize("customer_id", [ADA, BOB])
def test_a_cart_by_count_and_by_weight(store, customer_id):
    soap = make_item(store.id, name="Soap", price_cents=349)
    bananas = make_item(store.id, name="Bananas", price_cents=59, cost_unit="lb")
    put(store, soap, 2, customer_id, note=" the blue one ", replacement_policy="refund")
    assert put(store, bananas, "1.255", customer_id) == 2
    cart = selectors.cart(customer_id=customer_id, store_id=store.id)
    assert cart.version == 2
    assert cart.subtotal == Money(698 + 74)
    assert cart.lines == (
        CartLine(
            item_id=soap.id,
            name="Soap",
            quantity=Decimal(2),
            cost_unit="each",
            sold_by="count",
            unit_price=Money(349),
            total=Money(698),
            note="the blue one",
            replacement_policy="refund",
            **NOTHING_MORE,
            is_available=True,
            item=soap,
        ),
        CartLine(
            item_id=bananas.id,
            name="Bananas",
            quantity=Decimal("1.255"),
            cost_unit="lb",
            sold_by="weight",
            unit_price=Money(59),
            total=Money(74),
            note="",
            replacement_policy="best_match",
            **NOTHING_MORE,
            is_available=True,
            item=bananas,
        ),
    )


def test_an_empty_cart_is_a_cart(store, django_assert_num_queries):
    with django_assert_num_queries(2, using=sharding.alias_for("customer", ADA)):
        cart = selectors.cart(customer_id=ADA, store_id=store.id)
    assert (cart.id, cart.version, cart.lines, cart.subtotal) == (None, 0, (), Money(0))


def test_setting_twice_changes_nothing_more(store):
    soap = make_item(store.id)
    assert put(store, soap, 2, version=0) == 1
    assert put(store, soap, 2, version=0) == 1  # a retry carries the version it has made old
    assert lines(store) == {soap.id: 2}


def test_setting_changes_zero_takes_out(store):
    soap = make_item(store.id)
    put(store, soap, 2)
    assert put(store, soap, 3) == 2
    assert lines(store) == {soap.id: 3}
    assert put(store, soap, 0) == 3
    assert put(store, soap, 0) == 3
    assert lines(store) == {}


def test_a_changed_note_is_a_change(store):
    soap = make_item(store.id)
    put(store, soap, 2)
    assert put(store, soap, 2, note="blue") == 2


def test_a_stale_version_changes_nothing(store):
    soap, brush = make_item(store.id), make_item(store.id)
    put(store, soap, 1)
    put(store, soap, 2)
    with pytest.raises(CartStale):
        put(store, brush, 1, version=1)
    with pytest.raises(CartStale):
        put(store, soap, 0, version=1)
    assert lines(store) == {soap.id: 2}
    assert selectors.cart(customer_id=ADA, store_id=store.id).version == 2


@pytest.mark.parametrize(
    ("unit", "quantity", "error"),
    [
        ("each", "1.5", QuantityNotWhole),
        ("each", "-1", QuantityOutOfRange),
        ("each", "13", QuantityOutOfRange),
        ("lb", "1.2345", QuantityOutOfRange),
        ("lb", "12.001", QuantityOutOfRange),
        ("lb", "NaN", QuantityOutOfRange),
        ("each", "sNaN", QuantityOutOfRange),
    ],
)
def test_impossible_quantities_leave_the_cart_alone(store, unit, quantity, error):
    item = make_item(store.id, cost_unit=unit, max_in_cart=12)
    put(store, item, 12)
    with pytest.raises(error):
        put(store, item, quantity)
    assert lines(store) == {item.id: 12}
    assert selectors.cart(customer_id=ADA, store_id=store.id).version == 1


def test_refusals_make_no_cart(store):
    elsewhere = make_store()
    item = make_item(elsewhere.id)
    with pytest.raises(NotSoldHere):
        put(store, item, 1)
    with pytest.raises(NotSoldHere):
        services.set_line(customer_id=ADA, store_id=store.id, item_id=123, quantity=Decimal(1))
    with pytest.raises(StoreNotFound):
        services.set_line(customer_id=ADA, store_id=999_999_999, item_id=item.id, quantity=Decimal(1))
    with pytest.raises(NoteTooLong):
        put(elsewhere, item, 1, note="x" * 201)
    assert services.set_line(customer_id=ADA, store_id=999_999_999, item_id=item.id, quantity=Decimal(0)) == 0
    assert not models.Cart.objects.filter(customer_id=ADA).exists()


def put_all(store, quantities, **more):
    wanted = [LineInput(item_id=item.id, quantity=Decimal(quantity)) for item, quantity in quantities]
    return services.set_lines(customer_id=ADA, store_id=store.id, lines=wanted, **more)


def test_several_lines_at_once_are_one_change(store):
    soap, brush, cup = (make_item(store.id) for _ in range(3))
    assert put_all(store, [(soap, 1), (brush, 2)]) == 1
    assert put_all(store, [(soap, 0), (brush, 3), (cup, 4)]) == 2
    assert lines(store) == {brush.id: 3, cup.id: 4}
    assert put_all(store, [(cup, 4), (brush, 3), (soap, 0)], version=1) == 2
    assert put_all(store, []) == 2


def test_of_several_lines_all_are_set_or_none(store, monkeypatch):
    monkeypatch.setattr(domain, "MAX_LINES", 2)
    soap, brush, cup = (make_item(store.id, max_in_cart=12) for _ in range(3))
    put(store, soap, 1)
    for refused, error in (
        ([(brush, 1), (cup, 13)], QuantityOutOfRange),
        ([(brush, 1), (make_item(make_store().id), 1)], NotSoldHere),
        ([(brush, 1), (brush, 2)], LineTwice),
        ([(brush, 1), (cup, 1)], CartFull),
    ):
        with pytest.raises(error):
            put_all(store, refused)
    with pytest.raises(CartStale):
        put_all(store, [(brush, 1)], version=7)
    assert lines(store) == {soap.id: 1}
    assert put_all(store, [(brush, 1), (cup, 1), (soap, 0)]) == 2


def test_setting_lines_takes_as_many_queries_however_many(store, django_assert_num_queries):
    on_customers = sharding.alias_for("customer", ADA)
    counts = {}
    for count in (2, 30):
        items = [(make_item(store.id), 1) for _ in range(count)]
        put_all(store, items)
        with django_assert_num_queries(7, using=on_customers):  # 2: savepoint of the test's own transaction
            counts[count] = put_all(store, [(item, 2) for item, _ in items])
    assert counts == {2: 2, 30: 4}


def test_nobody_sees_or_changes_another_cart(store):
    soap = make_item(store.id)
    put(store, soap, 2, ADA)
    put(store, soap, 5, BOB)
    put(store, soap, 0, BOB)
    assert (lines(store, ADA), lines(store, BOB)) == ({soap.id: 2}, {})


def test_a_full_cart_takes_changes_but_no_more_items(store, monkeypatch):
    monkeypatch.setattr(domain, "MAX_LINES", 2)
    soap, brush, cup = (make_item(store.id) for _ in range(3))
    put(store, soap, 1)
    put(store, brush, 1)
    with pytest.raises(CartFull):
        put(store, cup, 1)
    put(store, soap, 2)
    assert lines(store) == {soap.id: 2, brush.id: 1}


def test_an_item_given_up_stays_visible_and_costs_nothing(store):
    soap = make_item(store.id, name="Soap", price_cents=300, lookup_code="soap")
    brush = make_item(store.id, price_cents=200)
    fill_cart(ADA, store.id, [(soap.id, 2), (brush.id, 1)])
    make_item(store.id, name="Soap", price_cents=300, lookup_code="soap", available=False)
    cart = selectors.cart(customer_id=ADA, store_id=store.id)
    assert [(line.item_id, line.total, line.is_available) for line in cart.lines] == [
        (soap.id, Money(0), False),
        (brush.id, Money(200), True),
    ]
    assert cart.subtotal == Money(200)
    put(store, soap, 0)
    assert lines(store) == {brush.id: 1}


def test_more_than_there_is_shows_as_not_available(store):
    soap = make_item(store.id, on_hand=3)
    put(store, soap, 3)
    assert selectors.cart(customer_id=ADA, store_id=store.id).lines[0].is_available is True
    put(store, soap, 4)
    assert selectors.cart(customer_id=ADA, store_id=store.id).lines[0].is_available is False


@pytest.mark.parametrize("count", [1, 30])
def test_reading_a_cart_takes_three_queries_however_many_lines(store, count, django_assert_num_queries):
    fill_cart(ADA, store.id, [(make_item(store.id).id, 1) for _ in range(count)])
    on_customers, on_stores = sharding.alias_for("customer", ADA), sharding.alias_for("store", store.id)
    with django_assert_num_queries(1, using=on_customers), django_assert_num_queries(2, using=on_stores):
        cart = selectors.cart(customer_id=ADA, store_id=store.id)
    assert len(cart.lines) == count


def test_clearing_only_what_was_seen(store):
    soap = make_item(store.id)
    version = fill_cart(ADA, store.id, [(soap.id, 1)]).version
    put(store, soap, 2)
    assert services.clear(customer_id=ADA, store_id=store.id, version=version) is False
    assert lines(store) == {soap.id: 2}
    assert services.clear(customer_id=ADA, store_id=store.id, version=2) is True
    assert services.clear(customer_id=ADA, store_id=store.id, version=2) is False
    cart = selectors.cart(customer_id=ADA, store_id=store.id)
    assert (cart.lines, cart.version) == ((), 3)


def test_what_can_become_an_order():
    store = make_store(minimum_basket_cents=1000)
    soap = make_item(store.id, price_cents=500)
    with pytest.raises(CartEmpty):
        selectors.cart_to_order(customer_id=ADA, store=store, version=0)
    put(store, soap, 1)
    with pytest.raises(BelowMinimum):
        selectors.cart_to_order(customer_id=ADA, store=store, version=1)
    put(store, soap, 2)
    with pytest.raises(CartStale):
        selectors.cart_to_order(customer_id=ADA, store=store, version=1)
    assert selectors.cart_to_order(customer_id=ADA, store=store, version=2).subtotal == Money(1000)


def test_all_carts_of_a_customer_in_one_query(store, django_assert_num_queries):
    other, emptied = make_store(), make_store()
    fill_cart(ADA, store.id, [(make_item(store.id).id, 1), (make_item(store.id).id, 1)])
    fill_cart(ADA, emptied.id, [(soap := make_item(emptied.id).id, 1), (soap, 0)])
    fill_cart(ADA, other.id, [(make_item(other.id).id, 1)])
    fill_cart(BOB, store.id, [(make_item(store.id).id, 1)])
    with django_assert_num_queries(1, using=sharding.alias_for("customer", ADA)):
        carts = selectors.carts(customer_id=ADA)
    assert [(cart.store_id, cart.line_count) for cart in carts] == [(other.id, 1), (store.id, 2)]


def only_line(store, customer_id=ADA):
    (line,) = selectors.cart(customer_id=customer_id, store_id=store.id).lines
    return line


def test_pieces_of_something_weighed_are_their_par_weight(store):
    bananas = make_item(store.id, price_cents=59, cost_unit="lb", par_weight=Decimal("0.4"))
    put(store, bananas, 6, in_pieces=True)
    line = only_line(store)
    assert (line.pieces, line.quantity, line.total) == (6, Decimal("2.4"), Money(142))
    assert put(store, bananas, 6, in_pieces=True) == 1
    put(store, bananas, "2.4")
    assert (only_line(store).pieces, only_line(store).quantity) == (None, Decimal("2.4"))


def test_pieces_are_whole_and_of_something_whose_weight_is_known(store):
    ham = make_item(store.id, cost_unit="lb")
    figs = make_item(store.id, cost_unit="lb", par_weight=Decimal("0.1"))
    with pytest.raises(NotSoldInPieces):
        put(store, ham, 2, in_pieces=True)
    with pytest.raises(QuantityNotWhole):
        put(store, figs, "1.5", in_pieces=True)
    with pytest.raises(QuantityOutOfRange):
        put(store, figs, 501, in_pieces=True)
    assert lines(store) == {}


@pytest.mark.parametrize("customer_id", [ADA, BOB])
def test_what_is_wanted_instead_is_remembered(store, customer_id):
    milk, oat, soap = make_item(store.id), make_item(store.id, name="Oat milk"), make_item(store.id)
    put(store, milk, 1, customer_id, replacement_policy="item", replacement_item_id=oat.id)
    line = only_line(store, customer_id)
    assert (line.replacement_policy, line.replacement_item_id, line.replacement_name) == ("item", oat.id, "Oat milk")
    put(store, milk, 0, customer_id)
    put(store, milk, 2, customer_id)
    line = only_line(store, customer_id)
    assert (line.replacement_policy, line.replacement_item_id) == ("item", oat.id)
    put(store, milk, 2, customer_id, replacement_policy="refund")
    put(store, milk, 3, customer_id)
    assert only_line(store, customer_id).replacement_policy == "refund"
    somebody = BOB if customer_id == ADA else ADA
    put(store, milk, 1, somebody)
    assert only_line(store, somebody).replacement_policy == "best_match"
    put(store, soap, 1, customer_id)
    policies = {
        one.item_id: one.replacement_policy for one in selectors.cart(customer_id=customer_id, store_id=store.id).lines
    }
    assert policies == {milk.id: "refund", soap.id: "best_match"}


def test_a_choice_that_is_not_sold_any_more_becomes_the_best_match(store):
    milk, oat = make_item(store.id), make_item(store.id)
    put(store, milk, 1, replacement_policy="item", replacement_item_id=oat.id)
    models_of_catalog.Item.objects.filter(pk=oat.id).update(in_assortment=False)
    put(store, milk, 2)
    assert (only_line(store).replacement_policy, only_line(store).replacement_item_id) == ("best_match", None)


def test_a_replacement_is_another_item_of_the_store(store):
    milk, elsewhere = make_item(store.id), make_item(make_store().id)
    for wrong in (
        {"replacement_policy": "item"},
        {"replacement_policy": "item", "replacement_item_id": milk.id},
        {"replacement_policy": "item", "replacement_item_id": elsewhere.id},
        {"replacement_policy": "refund", "replacement_item_id": elsewhere.id},
    ):
        with pytest.raises(ReplacementInvalid):
            put(store, milk, 1, **wrong)
    assert lines(store) == {}
    assert not models.ReplacementChoice.objects.filter(customer_id=ADA).exists()


def test_a_price_that_changed_in_the_cart_is_told(store):
    soap = make_item(store.id, price_cents=349)
    put(store, soap, 1)
    assert only_line(store).price_before is None
    models_of_catalog.Item.objects.filter(pk=soap.id).update(price_cents=399)
    assert (only_line(store).price_before, only_line(store).unit_price) == (Money(349), Money(399))
    put(store, soap, 2)
    assert only_line(store).price_before is None


def test_the_most_of_an_item_in_a_cart(store):
    soap = make_item(store.id, max_in_cart=3)
    put(store, soap, 3)
    with pytest.raises(QuantityOutOfRange):
        put(store, soap, 4)
    assert lines(store) == {soap.id: 3}
