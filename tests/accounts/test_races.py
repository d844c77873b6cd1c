"""The same thing at the same moment, by real threads on PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connections

from apps.accounts import models, selectors, services
from apps.accounts.errors import EmailTaken
from apps.common import outbox
from tests.accounts.factories import NOW, PASSWORD, make_address, make_customer

THREADS = 8

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)


def at_once(attempt):
    """What ``attempt()`` answered or raised in each thread."""
    barrier = Barrier(THREADS)

    def run(_):
        try:
            barrier.wait()
            return attempt()
        except EmailTaken as refusal:
            return refusal.code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def test_one_email_is_one_account():
    answers = at_once(
        lambda: services.sign_up(email="ada@example.com", password=PASSWORD, name="Ada Lovelace", now=NOW)
    )
    (user_id,) = models.User.objects.values_list("pk", flat=True)
    assert sorted(answers, key=str) == sorted([user_id] + ["email_taken"] * (THREADS - 1), key=str)
    assert selectors.profile(customer_id=user_id).email == "ada@example.com"
    assert not models.PendingProfile.objects.exists()


def test_one_profile_however_many_bring_it(monkeypatch):
    with monkeypatch.context() as crash:
        crash.setattr(services, "finish_sign_up", lambda **_: None)
        user_id = make_customer()
    assert at_once(lambda: services.finish_sign_up(user_id=user_id)) == [None] * THREADS
    assert models.CustomerProfile.objects.filter(pk=user_id).count() == 1
    assert outbox.drain() == 1


def test_one_address_however_often_it_is_sent():
    customer = make_customer()
    ids = at_once(lambda: make_address(customer))
    assert len(set(ids)) == 1
    assert models.Address.objects.filter(customer_id=customer).count() == 1
