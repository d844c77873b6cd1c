"""The pages about the map: what they show, and that nobody changes anything there."""

import re
from dataclasses import replace

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

import sharding
from sharding import directory, maps, topology
from sharding.models import MapVersion, Move
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


def test_a_move_shows_how_far_it_is_and_what_can_be_done(staff):
    begun = Move.objects.create(keyspace="customer", first=5, last=9, source=FIRST, target=LAST, tag="a", step="copy")
    over = Move.objects.create(keyspace="customer", first=1, last=1, source=FIRST, target=LAST, tag="b", phase="done")
    listed = staff.get("/admin/sharding/move/").content.decode()
    assert "customer 5-9" in listed
    assert "100%" in listed
    page = staff.get(f"/admin/sharding/move/{begun.pk}/change/").content.decode()
    assert re.search(r"moving copy, for \d s, 0 of about 0 rows", page)
    assert f"manage.py shard move --resume {begun.pk}" in page  # nobody is at it
    assert f"manage.py shard rollback {begun.pk}" in page
    assert "shard cleanup" not in page
    page = staff.get(f"/admin/sharding/move/{over.pk}/change/").content.decode()
    assert "nothing: it is over" in page
    assert staff.post(f"/admin/sharding/move/{begun.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Move.objects.count() == 2


def test_the_pages_are_for_staff():
    for url in (OVERVIEW, "/admin/sharding/mapversion/", "/admin/sharding/move/"):
        answer = Client().get(url)
        assert (answer.status_code, answer.headers["Location"].split("?")[0]) == (302, "/admin/login/")
