"""Conditions that name the key in a roundabout way, or only seem to."""

from decimal import Decimal

import pytest
from django.db.models import Count, F, FilteredRelation, Q, Subquery, Sum, Value, Window
from django.db.models.functions import Coalesce, Rank
from django.db.models.lookups import Exact, GreaterThan, In

from sharding import CrossShardQuery, UnroutableQuery
from tests.sharding.conftest import ONE, OTHER
from tests.sharding.hidden.conftest import LOOSE, TOTALS, everywhere, totals
from tests.sharding.shop.models import Customer, Order, Receipt

pytestmark = pytest.mark.django_db(databases="__all__")


def test_contradicting_conditions_match_nothing_and_change_nothing(orders, asked):
    contradiction = Order.objects.filter(customer_id=ONE, pk=orders[OTHER][0].pk)
    with asked() as aliases:
        assert list(contradiction) == []
        assert contradiction.count() == 0
        assert contradiction.aggregate(n=Count("pk"), s=Sum("total")) == {"n": 0, "s": None}
        assert contradiction.update(total=5) == 0
        assert contradiction.delete() == (0, {})
    assert len(set(aliases)) == 1
    assert everywhere(Order, "total") == TOTALS


@pytest.mark.parametrize(
    "condition",
    [
        ~Q(~Q(customer_id=ONE)),
        ~Q(~Q(customer_id=ONE) | Q(total=99)),
        ~(~Q(customer_id=ONE) | ~Q(store_id=3)),
        ~Q(total=99) & ~~Q(customer_id=ONE),
        Q(customer_id=ONE, total=99) ^ Q(customer_id=ONE),
        Q(pk__in=Order.objects.filter(customer_id=ONE)) | Q(customer_id=ONE, total=7),
        Q(customer=Value(ONE)),
        Q(customer=True) | Q(customer_id=str(ONE)) | Q(customer_id=Decimal(ONE)),
        Q(customer__in=(id for id in [ONE])),
        Q(customer__in={ONE, None}),
        Q(Exact(F("customer_id"), ONE)),
        Q(In(F("customer_id"), [ONE])),
        Q(customer__in=Customer.objects.filter(pk=ONE)[:5]),
        Q(customer_id=Customer.objects.filter(pk=ONE).values("pk")[:1]),
        Q(customer_id=Subquery(Customer.objects.filter(pk=ONE).values("pk"))),
        Q(customer_id__in=Subquery(Customer.objects.filter(pk=ONE).values("pk"))),
        Q(lines__customer_id=ONE),
    ],
)
def test_conditions_that_name_the_key_in_a_roundabout_way(orders, asked, first, condition):
    with asked() as aliases:
        assert totals(Order.objects.filter(condition).distinct()) == [0, 1, 2]
    assert aliases == [first]


@pytest.mark.parametrize(
    "condition",
    [
        ~Q(~Q(customer_id=ONE) & Q(total=1)),
        ~Q(Q(customer_id=ONE) ^ Q(total=1)),
        Q(customer_id=ONE) | Q(pk__in=LOOSE.values("order")),
        Exact(Coalesce("customer_id", 0), ONE),
        Q(customer_id__isnull=True),
        Q(wishes__customer_id=ONE),
        Q(customer__id__range=(ONE, ONE)),
        Q(customer_id=F("total")),
        Q(pk__in=[ONE, F("total")]),
        Q(pk=Coalesce("replaces", ONE)),
    ],
)
def test_conditions_that_only_seem_to_name_the_key_are_refused(orders, asked, condition):
    with asked() as aliases, pytest.raises(UnroutableQuery):
        list(Order.objects.filter(condition))
    assert aliases == []


def test_a_lookup_of_the_projects_own_names_nothing(orders, asked):
    class NotEqual(Exact):
        lookup_name = "ne"

        def get_rhs_op(self, connection, rhs):
            return f"<> {rhs}"

    with asked() as aliases, pytest.raises(UnroutableQuery):
        list(Order.objects.filter(NotEqual(F("customer_id"), ONE)))
    assert aliases == []


def test_a_condition_beside_a_window_in_an_or_does_not_narrow(orders, asked):
    """The rank is taken over all orders before such a condition is looked at."""
    ranked = Order.objects.annotate(rank=Window(Rank(), order_by="-total"))
    with asked() as aliases, pytest.raises(UnroutableQuery):
        list(ranked.filter(Q(customer_id=ONE, rank=1) | Q(customer_id=ONE, rank=2)))
    assert aliases == []
    assert totals(ranked.filter(customer_id=ONE, rank=1)) == [2]  # this one is looked at first


def test_greater_lookups_as_expressions_do_not_route(orders, asked):
    with asked() as aliases, pytest.raises(UnroutableQuery):
        list(Order.objects.filter(GreaterThan(F("customer_id"), ONE)))
    assert aliases == []


def test_filtered_relations(orders, first):
    def few(**condition: object) -> FilteredRelation:
        return FilteredRelation("lines", condition=Q(**condition))

    mine = Order.objects.filter(customer_id=ONE)
    assert totals(mine.annotate(few=few(lines__quantity=2)).filter(few__isnull=False)) == [0, 1, 2]
    assert totals(Order.objects.annotate(few=few(lines__quantity=2)).filter(few__customer_id=ONE)) == [0, 1, 2]
    paid = FilteredRelation("receipt", condition=Q(receipt__text__in=Subquery(Receipt.objects.values("text"))))
    for refused in (
        mine.annotate(few=few(lines__quantity__in=Subquery(LOOSE.values("quantity")))).filter(few__isnull=False),
        mine.annotate(few=few(lines__quantity__in=Subquery(LOOSE.values("quantity")))).annotate(n=F("few__quantity")),
        mine.annotate(paid=paid).select_related("paid"),
    ):
        with pytest.raises(CrossShardQuery):
            list(refused)
