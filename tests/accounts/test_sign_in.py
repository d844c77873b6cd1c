import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import MD5PasswordHasher

from apps.accounts import models
from tests.accounts.factories import PASSWORD, make_customer

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture
def hashes(monkeypatch):
    """How many passwords were hashed: what a sign-in costs."""
    made = []
    encode = MD5PasswordHasher.encode

    def counted(self, password, salt):
        made.append(salt)
        return encode(self, password, salt)

    monkeypatch.setattr(MD5PasswordHasher, "encode", counted)
    return made


def test_signs_in_with_any_spelling_of_the_email():
    user_id = make_customer(email="ada@example.com")
    assert authenticate(email=" ADA@example.com", password=PASSWORD).pk == user_id
    assert authenticate(username="ada@example.com", password=PASSWORD).pk == user_id


def test_unknown_email_costs_and_answers_like_a_wrong_password(hashes, assert_queries):
    make_customer(email="ada@example.com")
    for email in ("ada@example.com", "eve@example.com", "no address", "x" * 10_000, "a\x00@example.com"):
        hashes.clear()
        assert authenticate(email=email, password="wrong") is None
        assert len(hashes) == 1, email
    hashes.clear()
    with assert_queries(1):
        assert authenticate(email="eve@example.com", password=PASSWORD) is None


def test_the_stored_hash_is_not_a_user_name():
    user = models.User.objects.get(pk=make_customer())
    assert authenticate(username=user.login_hash, password=PASSWORD) is None
    assert authenticate(login_hash=user.login_hash, password=PASSWORD) is None


def test_who_is_not_active_does_not_sign_in():
    user_id = make_customer(email="ada@example.com")
    models.User.objects.filter(pk=user_id).update(is_active=False)
    assert authenticate(email="ada@example.com", password=PASSWORD) is None


def test_nothing_is_not_a_password():
    make_customer(email="ada@example.com")
    assert authenticate(email="ada@example.com", password="") is None
    assert authenticate(email="ada@example.com", password=None) is None
    assert authenticate(email=None, password=PASSWORD) is None
