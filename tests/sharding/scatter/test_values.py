"""Values that Python and PostgreSQL could disagree about, on three shards and on one database with all their rows."""

import pytest
from django.db.models import Count, F, Max, Min
from django.db.models.functions import TruncHour

from tests.sharding import samples
from tests.sharding.samples import Detail, Owner, Sample


@pytest.fixture(scope="module")
def in_berlin(django_db_setup, django_db_blocker):
    """What the connections answer is in a zone whose clocks show one hour of the samples twice."""
    with django_db_blocker.unblock(), samples.opened(time_zone="Europe/Berlin"):
        yield


def test_times_are_ordered_and_grouped_as_instants_where_clocks_show_them_twice(in_berlin):
    for n, question in enumerate(
        [
            lambda rows: list(rows.order_by("at", "pk").values_list("at", "pk")),
            lambda rows: list(rows.order_by(F("at").desc(nulls_last=True), "pk").values_list("pk", flat=True)[3:30]),
            lambda rows: list(rows.order_by().values("at").annotate(n=Count("pk")).order_by("at")),
            lambda rows: list(rows.order_by("at").values_list("at", flat=True).distinct()),
            lambda rows: list(rows.order_by().values(h=TruncHour("at")).annotate(n=Max("at")).order_by("h")),
            lambda rows: rows.aggregate(Min("at"), Max("at")),
        ]
    ):
        found, expected = question(Sample.objects.scatter()), question(Sample.objects.using(samples.TOGETHER))
        assert found == expected, n
        assert repr(found) == repr(expected), n
    everything = Sample.objects.scatter().filter(at__isnull=False)
    assert len({at.utcoffset() for at in everything.values_list("at", flat=True)}) == 2


def test_default_orders_and_other_tables(in_berlin):
    details = Detail.objects.scatter()
    parts = list(details.values_list("part", flat=True))
    assert parts == sorted(parts)
    assert len(parts) == Detail.objects.using(samples.TOGETHER).count()
    groups = list(details.values("part").annotate(n=Count("pk")))  # Django drops a default order here
    assert sorted(group["n"] for group in groups) == sorted(parts.count(n) for n in (0, 1))
    assert Owner.objects.scatter().count() == len(samples.OWNERS)
