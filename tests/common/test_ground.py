"""Places, ids, time, keys."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st

from apps.common import clock, crypto
from apps.common.api import ids
from apps.common.errors import NotFound
from apps.common.geo import Point


@pytest.mark.parametrize(("lat", "lng"), [(91, 0), (0, 181), (math.nan, 0), (0, math.nan), (math.inf, 0)])
def test_what_is_not_on_the_globe_is_no_point(lat, lng):
    with pytest.raises(ValueError, match="not a place on Earth"):
        Point(lat, lng)


@given(st.integers(1, 2**63 - 1))
def test_every_id_survives_the_wire(number):
    assert ids.parse(str(number)) == number


@pytest.mark.parametrize("text", ["", "0", "-1", "1.0", "1e3", "٣", "1_000", str(2**63), "9" * 400, "abc", " 1"])
def test_what_cannot_be_an_id_is_not_found(text):
    with pytest.raises(NotFound):
        ids.parse(text)


def test_a_shifted_clock_runs_on_and_comes_back():
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    with clock.shifted_to(moment):
        assert timedelta(0) <= clock.now() - moment < timedelta(seconds=5)
    assert clock.now() < moment


@given(st.text())
def test_what_was_encrypted_can_be_read_with_its_key_only(text):
    wrapped = crypto.new_data_key()
    sealed = crypto.encrypt(text, key=crypto.data_key(wrapped))
    assert crypto.decrypt(sealed, key=crypto.data_key(wrapped)) == text
    with pytest.raises(InvalidTag):
        crypto.decrypt(sealed, key=crypto.data_key(crypto.new_data_key()))


def test_the_same_text_is_never_encrypted_alike():
    key = crypto.data_key(crypto.new_data_key())
    assert crypto.encrypt("12 Elm Court", key=key) != crypto.encrypt("12 Elm Court", key=key)


def test_keyed_hashes_differ_by_purpose_and_by_installation(settings):
    by_email = crypto.keyed_hash("ada@example.org", purpose="login")
    assert by_email == crypto.keyed_hash("ada@example.org", purpose="login")
    assert len(by_email) == 64
    assert by_email != crypto.keyed_hash("ada@example.org", purpose="phone")
    crypto._derived.cache_clear()
    settings.FIELD_KEY = "another installation"
    assert by_email != crypto.keyed_hash("ada@example.org", purpose="login")
    crypto._derived.cache_clear()
