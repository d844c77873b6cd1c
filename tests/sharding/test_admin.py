"""The pages about the map: what they show, and that nobody changes anything there."""

from dataclasses import replace

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

import sharding
from sharding import directory, maps, topology
from sharding.models import MapVersion
from tests.accounts.factories import make_staff

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

OVERVIEW = "/admin/sharding/mapversion/overview/"
FIRST, *_, LAST = sharding.aliases("customer")


@pytest.fixture(autouse=True)
def moved_once():
    def move(shard_map: topology.ShardMap) -> topology.ShardMap:
        changed = maps.assigned(shard_map.keyspaces["customer"], 10, 19, LAST)
        changed = maps.with_copies(changed, ((10, 19, FIRST),))
        return replace(shard_map, keyspaces={**shard_map.keyspaces, "customer": changed})

    MapVersion.objects.all().delete()
    directory.publish()
    directory.change(move, "move 1: switch")
    yield
    topology.reload()


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(get_user_model().objects.get(pk=make_staff(superuser=True)))
    return client


def test_the_overview_shows_who_holds_what(staff):
    page = staff.get(OVERVIEW).content.decode()
    assert "Map 2" in page
    assert "0-9, 20-4999" in page
    assert "10-19, 5000-9999" in page
    assert page.count("does not answer") == 0
    assert "are well" not in page


def test_examining_asks_the_databases_and_tells(staff):
    page = staff.post(OVERVIEW).content.decode()
    assert "holds buckets 10 to 19 of customer, which it does not own" in page
    assert "the map gives it 10 buckets of customer that it does not own, such as 10" in page


def test_a_version_says_what_it_changed(staff):
    page = staff.get("/admin/sharding/mapversion/2/change/").content.decode()
    assert f"customer 10-19: {FIRST} → {LAST}" in page
    assert "move 1: switch" in page
    assert "The first map." in staff.get("/admin/sharding/mapversion/1/change/").content.decode()


def test_nobody_changes_a_map_here(staff):
    assert staff.get("/admin/sharding/mapversion/add/").status_code == 403
    assert staff.post("/admin/sharding/mapversion/2/change/", {"reason": "mine"}).status_code == 403
    assert staff.post("/admin/sharding/mapversion/2/delete/", {"post": "yes"}).status_code == 403
    assert list(MapVersion.objects.values_list("epoch", "reason")) == [(2, "move 1: switch"), (1, "the configured map")]


def test_the_pages_are_for_staff():
    for url in (OVERVIEW, "/admin/sharding/mapversion/"):
        answer = Client().get(url)
        assert (answer.status_code, answer.headers["Location"].split("?")[0]) == (302, "/admin/login/")
