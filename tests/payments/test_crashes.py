"""What a sweep does after a kill, and does not. Wherever it hits: ``tests/faults/test_every_crash``."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections

import sharding
from apps.common.money import Money
from apps.payments import gateway, selectors, services
from apps.payments.fake import FakeGateway
from tests.payments.factories import NOW, make_card

pytestmark = pytest.mark.django_db(databases="__all__")

ADA = 1
CALLS = tuple(name for name in vars(gateway.PaymentGateway) if not name.startswith("_"))


class Killed(BaseException):
    """What no code of ours can catch and tidy up after."""


class Death:
    """Kills at the ``at``-th moment: before and after each write to the database and each call to the provider."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.moments = 0

    def moment(self) -> None:
        self.moments += 1
        if self.moments == self.at:
            raise Killed

    def around_write(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if not sql.startswith(("INSERT", "UPDATE", "DELETE")):
            return execute(sql, params, many, context)
        self.moment()
        done = execute(sql, params, many, context)
        self.moment()
        return done

    def around_call(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **named: Any) -> Any:
            self.moment()
            answer = call(*args, **named)
            self.moment()
            return answer

        return watched


@contextmanager
def dying(fake: FakeGateway, at: int) -> Iterator[Death]:
    death = Death(at)
    with ExitStack() as stack:
        for alias in (sharding.alias_for("customer", ADA), "default"):
            stack.enter_context(connections[alias].execute_wrapper(death.around_write))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name in CALLS:
            patch.setattr(fake, name, death.around_call(getattr(fake, name)))
        yield death


def authorise(order_id: int, card_id: int) -> str:
    return services.authorise(
        customer_id=ADA,
        order_id=order_id,
        step="estimate",
        amount=Money(5000),
        card_id=card_id,
        return_url="https://shop.example/",
        now=NOW,
    ).status


def test_the_sweep_looks_up_an_authorisation_but_makes_none(fake_gateway: FakeGateway) -> None:
    card_id = make_card(ADA)
    for order_id, at in ((1, 3), (2, 4)):  # just before and just after the call
        with pytest.raises(Killed), dying(fake_gateway, at):
            authorise(order_id, card_id)
    assert len(fake_gateway.intents) == 1
    using = sharding.alias_for("customer", ADA)
    assert services.sweep(using=using, now=NOW + timedelta(minutes=1)) == 0
    assert services.sweep(using=using, now=NOW + timedelta(minutes=3)) == 2
    assert services.sweep(using=using, now=NOW + timedelta(minutes=4)) == 0
    assert [selectors.payments(customer_id=ADA, order_id=n)[0].status for n in (1, 2)] == ["authorising", "authorised"]
    assert len(fake_gateway.intents) == 1


def test_a_sweep_gives_up_on_a_provider_that_is_down(fake_gateway: FakeGateway) -> None:
    card_id = make_card(ADA, "pm_card_authenticationRequired")
    for order_id in range(1, 7):
        authorise(order_id, card_id)
    for _ in range(3):
        fake_gateway.fail_next("retrieve")
    using = sharding.alias_for("customer", ADA)
    assert services.sweep(using=using, now=NOW + timedelta(minutes=3)) == 3
    fake_gateway.answer_bank("pi_6", approve=True)
    assert services.sweep(using=using, now=NOW + timedelta(minutes=4)) == 3
    statuses = [selectors.payments(customer_id=ADA, order_id=n)[0].status for n in range(1, 7)]
    assert statuses == ["requires_action"] * 5 + ["authorised"]


def test_nobody_calls_the_provider_inside_a_transaction(fake_gateway: FakeGateway) -> None:
    card_id = make_card(ADA)
    fake_gateway.calls.clear()
    with sharding.atomic("default"), pytest.raises(gateway.CalledInTransaction):
        gateway.current()
    with sharding.atomic(sharding.home("customer", ADA)):
        with pytest.raises(gateway.CalledInTransaction):
            services.card_page(customer_id=ADA, success_url="https://shop.example/", cancel_url="https://shop.example/")
        with pytest.raises(sharding.ShardingError):
            authorise(1, card_id)
    assert fake_gateway.calls == []
    assert selectors.payments(customer_id=ADA, order_id=1) == ()
