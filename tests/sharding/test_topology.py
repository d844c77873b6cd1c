import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

import sharding
from sharding import topology
from sharding.topology import Keyspace


@given(st.integers(-(2**70), 2**70))
def test_every_number_has_a_home(number):
    home = sharding.home("customer", number)
    assert home.bucket == number % sharding.BUCKETS
    assert home.alias in sharding.aliases("customer")
    assert sharding.alias_of_id("customer", number) in sharding.aliases("customer")


@given(st.integers(0, 2**41 - 1), st.integers(0, 9999), st.integers(0, 255))
def test_an_id_carries_its_bucket(milliseconds, bucket, sequence):
    id = milliseconds << 22 | bucket << 8 | sequence
    assert sharding.bucket_of_id(id) == bucket
    assert sharding.home_of_id("customer", id) == sharding.home("customer", bucket)
    assert 0 <= id < 2**63


def test_databases_are_listed_once_each_the_global_one_first():
    every = sharding.all_aliases()
    assert every[0] == "default"
    assert len(set(every)) == len(every)
    assert set(every) == {"default", *(a for name in ("customer", "store", "shopper") for a in sharding.aliases(name))}


def test_buckets_follow_their_ranges():
    keyspace = Keyspace.of("k", ((0, 99, "a"), (100, 199, "b"), (200, 9999, "a")))
    assert [keyspace.alias_of[bucket] for bucket in (0, 99, 100, 199, 200, 9999)] == ["a", "a", "b", "b", "a", "a"]
    assert keyspace.aliases == ("a", "b")
    assert keyspace.gaps == []
    assert Keyspace.of("k", ((0, 5000, "a"), (5000, 9998, "b"))).gaps == [5000, 9999]


def test_an_unknown_keyspace_is_named():
    with pytest.raises(sharding.ShardingError, match="no keyspace is called 'wine'"):
        sharding.home("wine", 1).alias  # noqa: B018


def test_the_map_can_be_read_again():
    one = (0, 9999, "default")
    with override_settings(SHARDING={"KEYSPACES": {"solo": (one,)}, "WATCH": False}):
        topology.reload()
        assert sharding.alias_for("solo", 5) == "default"
        assert sharding.all_aliases() == ("default",)
    topology.reload()
    assert len(sharding.all_aliases()) > 1
