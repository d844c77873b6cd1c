"""The faults of paying, P1 to P11 of docs/payments.md: those that no other test tries already.

Over HTTP, with the real SDK, against the sandbox. Afterwards what the one checker says of money must be nothing.
"""

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connections

import sharding
from apps.common import clock, outbox
from apps.common.money import Money
from apps.ledger import services as ledger
from apps.orders import services as orders
from apps.payments import gateway, models, selectors, services
from apps.payments.errors import GatewayRefused, NotCapturable, ProviderUnavailable
from apps.payments.stripe_gateway import StripeGateway
from apps.slots import services as slots
from instacart import invariants
from sharding import testing
from tests.orders.factories import MORNING, make_ready
from tests.payments.factories import NOW, make_card
from tests.payments.fixtures import HTTP, Sandbox

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

ADA, ORDER = 1, 77
AFTERWARDS = NOW.replace(year=2099)


def unexplained() -> list[str]:
    """Every movement at the provider that the books do not explain, and the other way round."""
    found: list[str] = []
    services.compare_with_provider(now=AFTERWARDS, tell=lambda what, cents: found.append(what))
    return found


def minute(number: float) -> None:
    """What the workers do once a minute."""
    now = MORNING + timedelta(minutes=number)
    with clock.shifted_to(now):
        for alias in sharding.aliases("customer"):
            orders.sweep(using=alias, now=now)
            services.sweep(using=alias, now=now)
        for alias in sharding.aliases("store"):
            slots.release_expired(using=alias, now=now)
        outbox.drain()


def in_stores() -> int:
    """Orders that stores have heard of."""
    return sum(row["n"] for row in invariants.rows("store", "SELECT count(*) AS n FROM fulfilment_storeorder"))


def test_p1_a_provider_that_is_down_for_half_an_hour(sandbox: Sandbox, capsys) -> None:
    ready = [make_ready() for _ in range(3)]
    outbox.drain()
    sandbox.fail("*", "refuse", count=None)
    placed = [one.place(key=f"k{number}") for number, one in enumerate(ready)]
    assert [one.status for one in placed] == ["payment_pending"] * 3  # told in the answer itself
    for number in range(5, 31, 5):
        minute(number)
    assert in_stores() == 0  # no shopper goes
    sandbox.heal()
    for number in range(31, 36):
        minute(number)
    assert sandbox.intents() == [("requires_capture", amount, 0) for _, amount, _ in sandbox.intents()]
    assert len(sandbox.intents()) == in_stores() == 3
    score = invariants.score(now=MORNING + timedelta(minutes=36), acknowledged=[one.order_id for one in placed])
    assert (score.violations, set(score.integers.values())) == ((), {0})
    with capsys.disabled():
        print(f"\nP1: {score}", end="")


def test_p2_a_provider_that_is_slow_delays_nobody_else(sandbox: Sandbox, client, settings) -> None:
    ready = make_ready()
    outbox.drain()
    page = f"/stores/{ready.market.store_id}/"
    client.get(page, follow=True)  # what is made once is made
    patience = settings.STRIPE_TIMEOUT_SECONDS
    sandbox.fail("POST /v1/payment_intents", "slow", seconds=patience + 1.0)
    answers = []

    def place() -> None:
        answers.append((ready.place(key="k").status, time.monotonic()))
        connections.close_all()

    began = time.monotonic()
    with gateway.replaced_by(StripeGateway(timeout=patience)):
        waiting = threading.Thread(target=place)
        waiting.start()
        answer = client.get(page, follow=True)
        said_meanwhile = list(answers)
        waiting.join()
    assert (answer.status_code, said_meanwhile) == (200, [])  # answered while the other still waited
    ((status, ended),) = answers
    assert (status, ended - began < patience + 1.0) == ("payment_pending", True)
    time.sleep(max(0.0, began + patience + 2.0 - time.monotonic()))  # the provider works on, and holds the money late
    minute(3)
    assert [status for status, _, _ in sandbox.intents()] == ["requires_capture"]
    assert invariants.score(now=MORNING + timedelta(minutes=4)).violations == ()


# Every kind of call, and every way to lose its answer


def hold(card: str = "pm_card_visa") -> None:
    named = {"customer_id": ADA, "order_id": ORDER, "step": "estimate", "now": NOW}
    services.authorise(**named, amount=Money(5000), card_id=card_of(card), return_url="https://shop.example/")


def card_of(name: str) -> int:
    known = selectors.cards(customer_id=ADA)
    return known[0].id if known else make_card(ADA, name)


def capture() -> None:
    services.capture(customer_id=ADA, order_id=ORDER, step="estimate", amount=Money(4000), now=NOW)


def void() -> None:
    services.void(customer_id=ADA, order_id=ORDER, now=NOW)


def check() -> None:
    named = {"customer_id": ADA, "order_id": ORDER, "step": "estimate", "now": NOW}
    services.prepare(**named, amount=Money(5000), card_id=card_of("pm_card_visa"), return_url="https://shop.example/")


def charge() -> None:
    named = {"customer_id": ADA, "order_id": ORDER, "step": "estimate", "now": NOW}
    services.charge(**named, amount=Money(4000), card_id=card_of("pm_card_visa"))


def refund() -> None:
    named = {"customer_id": ADA, "order_id": ORDER, "now": NOW}
    services.refund(**named, request="issue", amount=Money(700), reason="missing")


def account() -> None:
    services.open_account(party_kind="store", party_id=7, now=NOW)


def owed(sandbox: Sandbox) -> None:
    charge()
    with sharding.atomic(sharding.home("customer", ADA)):
        ledger.book_sale(
            customer_id=ADA,
            order_id=ORDER,
            store_id=7,
            cents_by_kind={"item": 2000},
            currency="USD",
            now=NOW - timedelta(days=1),
        )
    account()
    found = selectors.account(party_kind="store", party_id=7)
    assert found is not None
    sandbox.decide(found.account_id, enabled=True)
    services.refresh_account(party_kind="store", party_id=7, now=NOW)
    sandbox.advance(seconds=3 * 86_400)


def transfer() -> None:
    services.pay_out(day=NOW.date(), now=NOW)


def take_back() -> None:
    (row,) = models.Transfer.objects.all()
    services.take_back(transfer_id=row.pk, total=Money(300), now=NOW)


def nothing(sandbox: Sandbox) -> None:
    card_of("pm_card_visa")


CALLS: list[tuple[str, Callable[[Sandbox], object], Callable[[], object], dict[str, int]]] = [
    # the call, what comes before, what is done (again and again), what the provider then says of all money
    ("POST /v1/payment_intents", nothing, hold, {"held": 5000}),
    ("POST /v1/payment_intents/{id}/capture", lambda s: hold(), capture, {"captured": 4000, "released": 1000}),
    ("POST /v1/payment_intents/{id}/cancel", lambda s: hold(), void, {"released": 5000}),
    ("POST /v1/setup_intents", nothing, check, {}),
    ("POST /v1/payment_intents", nothing, charge, {"captured": 4000}),
    ("POST /v1/refunds", lambda s: charge(), refund, {"captured": 4000, "refunded": 700}),
    ("POST /v1/accounts", nothing, account, {}),
    ("POST /v1/transfers", owed, transfer, {"captured": 4000, "transferred": 1700}),
    (
        "POST /v1/transfers/{id}/reversals",
        lambda s: (owed(s), transfer()),
        take_back,
        {"captured": 4000, "transferred": 1400},
    ),
]
LOST = ["500_after", "503_after", "drop_after", "half_answer", "slow_after", "500_before", "drop_before", "429"]


@pytest.mark.parametrize("kind", LOST)
def test_p3_p4_whatever_is_lost_is_done_once(sandbox: Sandbox, kind: str) -> None:
    for endpoint, before, act, expected in CALLS:
        where = f"{act.__name__}, {kind}"
        sandbox.reset()
        for alias in sharding.all_aliases():
            testing.empty(alias)
        before(sandbox)
        sandbox.fail(endpoint, kind, seconds=0.8)
        for attempt in range(4):  # the caller, who does not know, asks again; then the sweep comes by
            try:
                act()
            except ProviderUnavailable:
                assert attempt < 3, where
        later = NOW + timedelta(minutes=10)
        services.sweep(using=sharding.alias_for("customer", ADA), now=later)
        services.sweep_transfers(now=later)
        totals = {name: cents for name, cents in sandbox.totals().items() if cents and name != "balance"}
        assert totals == expected, where
        assert len(sandbox.objects("account")) <= 2, where  # an empty one may be left over; it holds nothing
        assert unexplained() == [], where


def test_p4_a_storm_of_429_is_not_answered_by_a_storm(sandbox: Sandbox) -> None:
    card_id = make_card(ADA, "pm_card_authenticationRequired")
    for order_id in range(1, 9):
        named = {"customer_id": ADA, "order_id": order_id, "step": "estimate", "now": NOW}
        services.authorise(**named, amount=Money(5000), card_id=card_id, return_url="https://shop.example/")
    sandbox.fail("*", "429", count=None)
    using = sharding.alias_for("customer", ADA)
    assert services.sweep(using=using, now=NOW + timedelta(minutes=3)) == 3
    assert HTTP.get(f"{sandbox.url}/_sandbox/faults").json()["faults"][0]["hits"] == 3
    sandbox.heal()
    assert services.sweep(using=using, now=NOW + timedelta(minutes=4)) == 5  # those that were not asked about
    assert services.sweep(using=using, now=NOW + timedelta(minutes=6)) == 3  # those of the storm, two minutes after it


def test_p5_news_that_are_lost_for_ever_are_found_within_five_minutes(sandbox: Sandbox) -> None:
    hold("pm_card_authenticationRequired")
    (payment,) = selectors.payments(customer_id=ADA, order_id=ORDER)
    sandbox.answer_bank(payment.action_url, "approve")  # nobody tells us
    using = sharding.alias_for("customer", ADA)
    services.sweep(using=using, now=NOW + timedelta(minutes=3))
    assert selectors.payments(customer_id=ADA, order_id=ORDER)[0].status == "authorised"
    assert unexplained() == []


def test_p6_a_capture_after_the_hold_has_ended_takes_nothing_until_it_is_held_anew(sandbox: Sandbox) -> None:
    hold()
    sandbox.advance(seconds=8 * 86_400)
    with pytest.raises(NotCapturable):
        capture()
    assert selectors.payments(customer_id=ADA, order_id=ORDER)[0].status == "expired"
    assert sandbox.totals()["captured"] == 0
    services.renew(customer_id=ADA, order_id=ORDER, step="estimate", now=NOW)
    capture()
    assert (sandbox.totals()["captured"], sandbox.totals()["held"]) == (4000, 0)
    assert unexplained() == []


def test_p6_an_overage_whose_card_declines_leaves_what_was_taken(sandbox: Sandbox) -> None:
    hold()
    capture()
    named = {"customer_id": ADA, "order_id": ORDER, "step": "overage", "now": NOW}
    made = services.charge(**named, amount=Money(900), card_id=make_card(ADA, "pm_card_chargeCustomerFail"))
    assert (made.status, made.captured) == ("declined", Money(0))
    assert sandbox.totals()["captured"] == 4000
    assert unexplained() == []


def test_p8_a_bank_that_is_answered_twice_holds_once(sandbox: Sandbox) -> None:
    hold("pm_card_authenticationRequired")
    (payment,) = selectors.payments(customer_id=ADA, order_id=ORDER)
    for answer in ("approve", "approve", "deny"):
        sandbox.answer_bank(payment.action_url, answer)
        services.refresh(customer_id=ADA, order_id=ORDER, step="estimate", now=NOW)
    assert selectors.payments(customer_id=ADA, order_id=ORDER)[0].status == "authorised"
    assert sandbox.intents() == [("requires_capture", 5000, 0)]
    void()
    sandbox.answer_bank(payment.action_url, "approve")
    assert sandbox.totals()["held"] == 0


def test_p9_a_key_with_another_body_is_refused_and_not_tried_again(sandbox: Sandbox) -> None:
    hold()
    intent = selectors.payments(customer_id=ADA, order_id=ORDER)[0].intent_id
    assert gateway.current().capture(intent, amount=Money(10), key="once").received_cents == 10
    with pytest.raises(GatewayRefused, match="same parameters"):
        gateway.current().capture(intent, amount=Money(11), key="once")
    assert sandbox.totals()["captured"] == 10


def test_p11_a_restricted_account_is_paid_when_it_may_be(sandbox: Sandbox) -> None:
    owed(sandbox)
    found = selectors.account(party_kind="store", party_id=7)
    assert found is not None
    sandbox.decide(found.account_id, enabled=False)  # we have not heard of it yet
    transfer()
    services.pay_out(day=(NOW + timedelta(days=1)).date(), now=NOW + timedelta(days=1))
    assert [one.failure_code for one in selectors.transfers(party_kind="store", party_id=7)] == [
        "insufficient_capabilities_for_transfer"
    ] * 2
    sandbox.decide(found.account_id, enabled=True)
    services.pay_out(day=(NOW + timedelta(days=2)).date(), now=NOW + timedelta(days=2))
    assert sandbox.totals()["transferred"] == 1700
    assert unexplained() == []
