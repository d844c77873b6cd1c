"""One shopper, many who want them."""

from datetime import timedelta

import pytest

from apps.common.money import Money
from apps.shoppers import models, selectors, services
from tests.shoppers.factories import NOW, make_shopper
from tests.threads import answers_at_once

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

THREADS = 20


def test_of_twenty_planners_one_gets_the_shopper():
    shopper = make_shopper(7)
    soon = NOW + timedelta(seconds=90)
    answers = answers_at_once(
        lambda i: services.claim(shopper_id=shopper, batch_id=100 + i, store_id=1, expires_at=soon, now=NOW),
        THREADS,
    )
    won = [answer for answer in answers if answer is not None]
    assert len(won) == 1
    assert models.Assignment.objects.get(shopper_id=shopper).pk == won[0]


def test_word_of_a_finished_batch_delivered_twenty_times_at_once_pays_once():
    shopper = make_shopper(7)
    answers = answers_at_once(
        lambda i: services.earn(
            shopper_id=shopper, batch_id=5, order_id=None, kind="batch_pay", amount=Money(1015), now=NOW
        ),
        THREADS,
    )
    assert sorted(answers) == [False] * (THREADS - 1) + [True]
    assert selectors.earnings(shopper_id=shopper).total == Money(1015)
