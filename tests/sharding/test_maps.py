"""The map as a value and as a document, and its versions in the directory."""

import threading
from dataclasses import replace

import psycopg
import pytest
from django.db import connections
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

import sharding
from sharding import directory, maps, topology
from sharding.errors import DirectoryUnavailable, ShardingError
from sharding.models import MapVersion
from sharding.topology import Keyspace, ShardMap

ALIASES = sharding.aliases("customer")


@pytest.fixture(autouse=True)
def configured_again():
    yield
    topology.reload()


@st.composite
def keyspaces(draw: st.DrawFn) -> Keyspace:
    keyspace = topology.configured().keyspaces["customer"]
    for _ in range(draw(st.integers(0, 6))):
        first, last = sorted((draw(st.integers(0, 9999)), draw(st.integers(0, 9999))))
        keyspace = maps.assigned(keyspace, first, last, draw(st.sampled_from(ALIASES)))
    if draw(st.booleans()):
        keyspace = maps.with_copies(keyspace, ((5, 70, draw(st.sampled_from(ALIASES))),))
    return keyspace


@given(keyspaces(), st.integers(1, 2**40))
def test_a_map_is_what_its_document_says(keyspace, epoch):
    shard_map = ShardMap(epoch, {**topology.configured().keyspaces, "customer": keyspace}, {"customer_0": "spare"})
    assert maps.parsed(epoch, maps.document(shard_map)) == shard_map
    assert keyspace.gaps == []


@given(keyspaces(), st.integers(0, 9999), st.integers(0, 9999), st.sampled_from(ALIASES))
def test_assigning_changes_those_buckets_and_no_others(before, one, other, alias):
    first, last = sorted((one, other))
    after = maps.assigned(before, first, last, alias)
    assert set(after.alias_of[first : last + 1]) == {alias}
    assert after.alias_of[:first] == before.alias_of[:first]
    assert after.alias_of[last + 1 : 10_000] == before.alias_of[last + 1 : 10_000]
    assert set(before.databases) <= set(after.databases)
    assert sum(last - first + 1 for name in after.aliases for first, last in after.owned(name)) == 10_000


def test_only_who_holds_rows_of_others_has_to_be_narrowed():
    keyspace = Keyspace.of("k", ((0, 4999, "a"), (5000, 9999, "b")), ("c",), ((5000, 5010, "a"), (0, 3, "c")))
    assert keyspace.only("a") == ((0, 4999),)
    assert keyspace.only("b") is None
    assert keyspace.only("c") == ()
    assert (keyspace.aliases, keyspace.databases) == (("a", "b"), ("a", "b", "c"))


@pytest.mark.parametrize(
    ("ranges", "sentence"),
    [
        ([[0, 10, "customer_0"]], "bucket 11 of customer is named by no range"),
        ([[0, 9999, "customer_0"], [5, 5, "customer_1"]], "bucket 5 of customer is named by no range, or by more"),
    ],
)
def test_an_unsound_document_is_refused(ranges, sentence):
    with pytest.raises(ShardingError, match=sentence):
        maps.parsed(3, {"keyspaces": {"customer": {"ranges": ranges, "copies": []}}})


def test_the_file_keeps_the_newest_map_and_says_when_it_is_rubbish(tmp_path):
    path = tmp_path / "deep" / "map.json"
    newer, older = (replace(topology.configured(), epoch=epoch) for epoch in (9, 8))
    maps.save(newer, path)
    maps.save(older, path)
    assert maps.load(path) == newer
    path.write_text('{"epoch": 12')
    with pytest.raises(ShardingError, match=r"map\.json holds no shard map: .* delete it"):
        maps.load(path)
    maps.save(older, path)
    assert maps.load(path) == older
    assert [one.name for one in path.parent.iterdir()] == ["map.json"]


def give_to_the_last(shard_map: ShardMap) -> ShardMap:
    changed = maps.assigned(shard_map.keyspaces["customer"], 10, 19, ALIASES[-1])
    return replace(shard_map, keyspaces={**shard_map.keyspaces, "customer": changed})


@pytest.mark.django_db(databases="__all__", transaction=True)
class TestDirectory:
    @pytest.fixture(autouse=True)
    def published(self):
        MapVersion.objects.all().delete()
        directory.publish()

    def test_the_configured_map_is_published_once(self):
        directory.publish()
        assert list(MapVersion.objects.values_list("epoch", "reason")) == [(1, "the configured map")]
        assert directory.read().keyspaces == topology.configured().keyspaces

    def test_a_change_is_the_next_version_and_is_announced(self):
        with directory.connect() as listener:
            listener.execute("LISTEN sharding_map")
            changed = directory.change(give_to_the_last, "a test")
            (note,) = listener.notifies(timeout=5, stop_after=1)
        assert note.payload == "2"
        assert changed.epoch == 2
        assert directory.read() == changed == topology.current()
        assert sharding.alias_for("customer", 15) == ALIASES[-1]
        assert MapVersion.objects.get(epoch=2).reason == "a test"

    def test_of_two_changes_at_once_one_counts(self):
        barrier = threading.Barrier(2)
        outcomes: list[object] = []

        def change() -> None:
            def edit(shard_map: ShardMap) -> ShardMap:
                barrier.wait(10)
                return give_to_the_last(shard_map)

            try:
                outcomes.append(directory.change(edit, "a race").epoch)
            except ShardingError as error:
                outcomes.append(str(error))
            finally:
                connections.close_all()

        threads = [threading.Thread(target=change) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes, key=str) == [2, "map 2 was made by somebody else meanwhile; look at it, then repeat"]
        assert MapVersion.objects.count() == 2

    def test_an_unsound_change_is_refused_and_leaves_nothing(self):
        def lose(shard_map: ShardMap) -> ShardMap:
            return replace(shard_map, keyspaces={"customer": Keyspace.of("customer", ((0, 9998, ALIASES[0]),))})

        def misname(shard_map: ShardMap) -> ShardMap:
            return replace(shard_map, keyspaces={"customer": Keyspace.of("customer", ((0, 9999, "nowhere"),))})

        for edit, sentence in ((lose, "bucket 9999 of customer"), (misname, "'nowhere', which is not in DATABASES")):
            with pytest.raises(ShardingError, match=sentence):
                directory.change(edit, "a mistake")
        assert MapVersion.objects.count() == 1

    def test_a_new_keyspace_is_added_to_the_map_that_is_there(self):
        directory.change(give_to_the_last, "a test")
        wider = {"KEYSPACES": {**sharding.conf.options().keyspaces, "extra": ((0, 9999, ALIASES[0]),)}, "WATCH": False}
        with override_settings(SHARDING=wider):
            directory.publish()
            found = directory.read()
        assert found.epoch == 3
        assert found.keyspaces["extra"].aliases == (ALIASES[0],)
        assert found.keyspaces["customer"].alias_of[15] == ALIASES[-1]

    def test_a_directory_that_is_away_is_named(self, monkeypatch):
        def refuse(*_: object, **__: object) -> object:
            raise psycopg.OperationalError("connection refused")

        monkeypatch.setattr(directory, "connect", refuse)
        with pytest.raises(DirectoryUnavailable, match="the directory does not answer: connection refused"):
            directory.change(give_to_the_last, "a test")
        assert sharding.alias_for("customer", 15) == ALIASES[0]  # routing goes on
