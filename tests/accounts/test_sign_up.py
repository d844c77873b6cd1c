import pytest
from django.contrib.auth import authenticate
from django.db import OperationalError

import sharding
from apps.accounts import errors, models, selectors, services
from apps.accounts.types import Profile
from apps.common import outbox
from apps.common.models import OutboxMessage
from tests.accounts.factories import NOW, PASSWORD, make_customer

pytestmark = pytest.mark.django_db(databases="__all__")


def sign_up(email="ada@example.com", password=PASSWORD, name="Ada Lovelace"):
    return services.sign_up(email=email, password=password, name=name, now=NOW)


def profiles_on_shards():
    return sum(models.CustomerProfile.objects.using(alias).count() for alias in sharding.aliases("customer"))


def test_account_opens_and_its_profile_reads_back():
    user_id = sign_up(email=" Ada@Example.com", name=" Ada  Lovelace ")
    assert selectors.profile(customer_id=user_id) == Profile(
        customer_id=user_id, name="Ada Lovelace", email="ada@example.com", locale="en-US"
    )
    user = models.User.objects.get(pk=user_id)
    assert (user.is_active, user.is_staff, user.is_superuser, user.date_joined) == (True, False, False, NOW)
    assert user.login_hash == models.login_hash("ADA@example.com")
    assert not models.PendingProfile.objects.exists()


def test_profile_is_on_the_customers_own_shard_only(assert_queries):
    ids = [make_customer() for _ in range(4)]
    assert models.CustomerProfile.objects.filter(pk__in=ids).count() == 4
    for user_id in ids:
        with assert_queries(1):
            selectors.profile(customer_id=user_id)


@pytest.mark.parametrize("again", ["ada@example.com", "ADA@example.com "])
def test_taken_email_is_refused_and_nothing_made(again):
    first = sign_up()
    outbox.drain()
    with pytest.raises(errors.EmailTaken):
        sign_up(email=again, name="Eve", password="another good passphrase")
    assert models.User.objects.count() == 1
    assert not models.PendingProfile.objects.exists()
    assert not OutboxMessage.objects.using("default").exists()
    assert selectors.profile(customer_id=first).name == "Ada Lovelace"
    assert authenticate(email="ada@example.com", password=PASSWORD) is not None


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"email": "ada"}, errors.EmailInvalid),
        ({"name": " "}, errors.NameInvalid),
        ({"password": "short"}, errors.PasswordTooWeak),
        ({"password": "password123"}, errors.PasswordTooWeak),
        ({"password": "8461937206"}, errors.PasswordTooWeak),
        ({"password": "ada@example.com"}, errors.PasswordTooWeak),
        ({"password": "adalovelace"}, errors.PasswordTooWeak),
    ],
)
def test_what_cannot_be_an_account_is_refused_and_nothing_made(changes, refusal):
    with pytest.raises(refusal):
        sign_up(**changes)
    assert not models.User.objects.exists()
    assert not OutboxMessage.objects.using("default").exists()


class Killed(BaseException):
    """The process ends here."""


def test_killed_before_the_shard_the_profile_still_reads_and_arrives(monkeypatch):
    def killed(**_):
        raise Killed

    with monkeypatch.context() as crash:
        crash.setattr(services, "finish_sign_up", killed)
        with pytest.raises(Killed):
            sign_up()
    user_id = selectors.user_id_by_email(email="ada@example.com")
    assert profiles_on_shards() == 0
    assert selectors.profile(customer_id=user_id).name == "Ada Lovelace"
    assert selectors.addresses(customer_id=user_id) == ()

    assert outbox.drain() == 1
    assert models.CustomerProfile.objects.get(pk=user_id).opened().email == "ada@example.com"
    assert not models.PendingProfile.objects.exists()


def test_shard_out_of_reach_leaves_the_rest_to_the_relay(monkeypatch):
    def unreachable(**_):
        raise OperationalError("connection refused")

    with monkeypatch.context() as fault:
        fault.setattr(services, "finish_sign_up", unreachable)
        user_id = sign_up()
    assert profiles_on_shards() == 0
    outbox.drain()
    assert profiles_on_shards() == 1
    assert selectors.profile(customer_id=user_id).name == "Ada Lovelace"


def test_finishing_again_changes_nothing():
    user_id = sign_up()
    before = models.CustomerProfile.objects.filter(pk=user_id).values().get()
    services.finish_sign_up(user_id=user_id)
    outbox.drain()
    assert models.CustomerProfile.objects.filter(pk=user_id).values().get() == before


def test_nobody_has_no_profile():
    with pytest.raises(errors.UserNotFound):
        selectors.profile(customer_id=404)


@pytest.mark.parametrize("email", ["nobody@example.com", "no address", ""])
def test_nobody_is_found_by_an_unknown_email(email):
    assert selectors.user_id_by_email(email=email) is None


def test_new_password_replaces_the_old_one():
    user_id = sign_up()
    services.change_password(user_id=user_id, password="a quite different phrase")
    assert authenticate(email="ada@example.com", password=PASSWORD) is None
    assert authenticate(email="ada@example.com", password="a quite different phrase").pk == user_id


def test_weak_new_password_leaves_the_old_one():
    user_id = sign_up()
    with pytest.raises(errors.PasswordTooWeak):
        services.change_password(user_id=user_id, password="short")
    assert authenticate(email="ada@example.com", password=PASSWORD).pk == user_id
