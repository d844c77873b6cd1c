"""What every gateway has to do, asked of each of them: a new processor is checked by one more row in ``WORLDS``.

A world is a gateway together with what happens outside of it: banks that answer, accounts that are looked at.
"""

import re
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import pytest

from apps.common.money import Money
from apps.payments.errors import CardDeclined, TransferRefused, UnexpectedState, UnknownObject
from apps.payments.fake import FakeGateway
from apps.payments.gateway import Party, PaymentGateway, Reference
from apps.payments.stripe_gateway import StripeGateway
from tests.payments.fixtures import Sandbox

URL = "https://shop.example/orders/12/"


class World(Protocol):
    gateway: PaymentGateway

    def answer_bank(self, intent: str, url: str, *, approve: bool) -> None: ...
    def answer_check(self, check: str, url: str, *, approve: bool) -> None: ...
    def type_card(self, page: str, url: str) -> None: ...
    def dispute(self, intent: str) -> None: ...
    def decide_dispute(self, intent: str, *, won: bool) -> None: ...
    def enable(self, account: str) -> None: ...
    def make_available(self) -> None: ...
    def strike_midnight(self, account: str) -> None: ...
    def refuse_at_the_bank(self, payout: str) -> None: ...


@dataclass
class FakeWorld:
    gateway: FakeGateway = field(default_factory=FakeGateway)

    def answer_bank(self, intent, url, *, approve):
        self.gateway.answer_bank(intent, approve=approve)

    def answer_check(self, check, url, *, approve):
        self.gateway.answer_check(check, approve=approve)

    def type_card(self, page, url):
        self.gateway.finish_page(page, "pm_typed")

    def dispute(self, intent):
        self.gateway.dispute(intent)

    def decide_dispute(self, intent, *, won):
        self.gateway.decide_dispute(intent, won=won)

    def enable(self, account):
        self.gateway.decide(account, "enabled")

    def make_available(self):
        self.gateway.available_cents = self.gateway.taken_cents

    def strike_midnight(self, account):
        self.gateway.pay_to_bank(account)

    def refuse_at_the_bank(self, payout):
        self.gateway.bank_says(payout, "failed")


@dataclass
class SandboxWorld:
    sandbox: Sandbox
    gateway: StripeGateway = field(default_factory=lambda: StripeGateway(timeout=5.0))

    def answer_bank(self, intent, url, *, approve):
        self.sandbox.answer_bank(url, "approve" if approve else "deny")

    def answer_check(self, check, url, *, approve):
        self.sandbox.answer_bank(url, "approve" if approve else "deny")

    def type_card(self, page, url):
        self.sandbox.type_card(url, number="4242424242424242")

    def dispute(self, intent):
        self.sandbox.dispute(self._one("charge", intent)["id"])

    def decide_dispute(self, intent, *, won):
        self.sandbox.decide_dispute(self._one("dispute", intent)["id"], won=won)

    def enable(self, account):
        self.sandbox.decide(account, enabled=True)

    def make_available(self):
        self.sandbox.advance(seconds=3 * 86_400)

    def strike_midnight(self, account):
        self.sandbox.advance(seconds=86_400)

    def refuse_at_the_bank(self, payout):
        self.sandbox.fail_payout(payout)

    def _one(self, kind, intent):
        return next(one for one in self.sandbox.objects(kind) if one["payment_intent"] == intent)


WORLDS = {"fake": lambda sandbox: FakeWorld(), "stripe": SandboxWorld}


@pytest.fixture(params=WORLDS)
def world(request, sandbox):
    return WORLDS[request.param](sandbox)


@pytest.fixture
def customer(world):
    return world.gateway.create_customer(customer_id=7, key="customer-7:1")


def attach(world, customer, card="pm_card_visa"):
    return world.gateway.attach(customer=customer, card=card).id


def reference(step="estimate", attempt=1):
    return Reference(customer_id=7, order_id=12, step=step, attempt=attempt)


def hold(world, customer, *, card="pm_card_visa", url=URL, key="k-hold", about=None, cents=5000):
    return world.gateway.authorise(
        customer=customer,
        card=attach(world, customer, card),
        amount=Money(cents),
        reference=about or reference(),
        return_url=url,
        key=key,
    )


def charge(world, customer, *, card="pm_card_visa", key="k-charge", cents=500, step="tip"):
    saved = attach(world, customer, card)
    return world.gateway.charge(customer=customer, card=saved, amount=Money(cents), reference=reference(step), key=key)


def test_a_customer_is_made_once_for_a_key(world, customer):
    assert world.gateway.create_customer(customer_id=7, key="customer-7:1") == customer


def test_cards_are_saved_for_their_customer_or_refused(world, customer):
    saved = world.gateway.attach(customer=customer, card="pm_card_visa")
    assert (saved.brand, saved.last4) == ("visa", "4242")
    with pytest.raises(CardDeclined):
        attach(world, customer, "pm_card_chargeDeclined")
    with pytest.raises(UnknownObject):
        attach(world, customer, "pm_card_unknown")


def test_a_card_typed_on_the_page_is_the_customers(world, customer):
    urls = {"success_url": f"{URL}?{{CHECKOUT_SESSION_ID}}", "cancel_url": URL}
    page = world.gateway.card_page(customer=customer, customer_id=7, **urls)
    assert page.card is None
    world.type_card(page.id, page.url)
    found = world.gateway.retrieve_card_page(page.id)
    assert (found.customer, found.card.last4) == (customer, "4242")
    with pytest.raises(UnknownObject):
        world.gateway.retrieve_card_page("cs_nothing")


def test_a_hold_takes_nothing_and_is_found_again(world, customer):
    held = hold(world, customer)
    assert (held.status, held.received_cents, held.reference) == ("authorised", 0, reference())
    assert world.gateway.retrieve(held.id) == held
    assert world.gateway.find(customer=customer, reference=reference()) == held
    assert world.gateway.find(customer=customer, reference=reference(attempt=2)) is None
    assert world.gateway.movements() == ()


def test_the_same_key_asks_once(world, customer):
    card = attach(world, customer)
    asked = {"customer": customer, "card": card, "amount": Money(5000), "reference": reference(), "return_url": URL}
    assert world.gateway.authorise(**asked, key="k") == world.gateway.authorise(**asked, key="k")
    assert world.gateway.capture(
        world.gateway.find(customer=customer, reference=reference()).id, amount=Money(5), key="k2"
    )
    assert [one.cents for one in world.gateway.movements()] == [5]


def test_a_refusal_by_the_bank_is_an_answer(world, customer):
    refused = hold(world, customer, card="pm_card_chargeCustomerFail")
    assert (refused.status, refused.failure_code) == ("declined", "generic_decline")
    taken = charge(world, customer, card="pm_card_chargeCustomerFail")
    assert (taken.status, taken.failure_code, taken.received_cents) == ("declined", "generic_decline", 0)


@pytest.mark.parametrize(("approve", "status"), [(True, "authorised"), (False, "declined")])
def test_the_bank_may_ask_its_customer(world, customer, approve, status):
    asked = hold(world, customer, card="pm_card_authenticationRequired")
    assert asked.status == "requires_action"
    assert asked.action_url.startswith("http")
    world.answer_bank(asked.id, asked.action_url, approve=approve)
    assert world.gateway.retrieve(asked.id).status == status


def test_where_nobody_is_there_to_ask_it_is_refused(world, customer):
    for made in (
        hold(world, customer, card="pm_card_authenticationRequired", url=""),
        charge(world, customer, card="pm_card_authenticationRequired"),
    ):
        assert (made.status, made.failure_code) == ("declined", "authentication_required")


def test_a_part_is_captured_once_and_the_rest_let_go(world, customer):
    held = hold(world, customer)
    taken = world.gateway.capture(held.id, amount=Money(4000), key="k-capture")
    assert (taken.status, taken.received_cents) == ("captured", 4000)
    for again in (
        lambda: world.gateway.capture(held.id, amount=Money(4000), key="k-capture-2"),
        lambda: world.gateway.cancel(held.id, key="k-cancel"),
    ):
        with pytest.raises(UnexpectedState):
            again()
    assert world.gateway.refunds(held.id) == ()
    assert [(one.cause, one.cents, one.source, one.reference) for one in world.gateway.movements()] == [
        ("captured", 4000, held.id, reference())
    ]


def test_what_is_let_go_cannot_be_captured(world, customer):
    held = hold(world, customer)
    assert world.gateway.cancel(held.id, key="k-cancel").status == "canceled"
    with pytest.raises(UnexpectedState):
        world.gateway.capture(held.id, amount=Money(1), key="k-capture")
    assert world.gateway.movements() == ()


def test_money_goes_back_up_to_what_was_taken(world, customer):
    taken = charge(world, customer)
    asked = {"reference": reference("tip"), "amount": Money(300)}
    first = world.gateway.refund(taken.id, number=1, key="k-1", **asked)
    assert (first.status, first.cents, first.number) == ("succeeded", 300, 1)
    assert world.gateway.refund(taken.id, number=1, key="k-1", **asked) == first
    with pytest.raises(UnexpectedState):
        world.gateway.refund(taken.id, number=2, key="k-2", **asked)
    assert world.gateway.refunds(taken.id) == (first,)
    newest, oldest = world.gateway.movements()
    assert (newest.cause, newest.cents, newest.source, oldest.cents) == ("refunded", -300, first.id, 500)
    assert world.gateway.movements(after=newest.id) == (oldest,)
    assert world.gateway.movements(after=oldest.id) == ()


@pytest.mark.parametrize(("approve", "status"), [(True, "ready"), (False, "declined")])
def test_a_card_is_checked_and_nothing_held(world, customer, approve, status):
    def check(card, key):
        saved = attach(world, customer, card)
        return world.gateway.check(customer=customer, card=saved, reference=reference(), return_url=URL, key=key)

    assert check("pm_card_visa", "k-1").status == "ready"
    asked = check("pm_card_authenticationRequired", "k-2")
    assert asked.status == "requires_action"
    world.answer_check(asked.id, asked.action_url, approve=approve)
    found = world.gateway.retrieve_check(asked.id)
    assert (found.status, found.reference) == (status, reference())
    assert world.gateway.find(customer=customer, reference=reference()) is None


def test_a_party_is_sent_money_when_it_may_be_and_some_is_taken_back(world, customer):
    account = world.gateway.create_account(party=Party(kind="store", id=7), key="account-store-7:1")
    assert account.status == "pending"
    assert world.gateway.account_page(account.id, return_url=URL, refresh_url=URL).startswith("http")
    charge(world, customer)

    def send(cents, key):
        return world.gateway.transfer(account.id, amount=Money(cents), transfer=5, key=key)

    with pytest.raises(TransferRefused) as refused:
        send(200, "k-1")
    assert refused.value.code == "insufficient_capabilities_for_transfer"
    world.enable(account.id)
    assert world.gateway.account(account.id).status == "enabled"
    world.make_available()
    with pytest.raises(TransferRefused) as refused:
        send(501, "k-2")
    assert refused.value.code == "balance_insufficient"
    assert world.gateway.find_transfer(account.id, transfer=5) is None
    sent = send(200, "k-3")
    assert send(200, "k-3") == sent == world.gateway.find_transfer(account.id, transfer=5)
    assert world.gateway.take_back(sent.id, amount=Money(150), key="k-4").reversed_cents == 150
    with pytest.raises(UnexpectedState):
        world.gateway.take_back(sent.id, amount=Money(51), key="k-5")
    assert world.gateway.retrieve_transfer(sent.id).reversed_cents == 150
    moved = [(one.cause, one.cents, one.source) for one in world.gateway.movements()[:2]]
    assert moved == [("taken_back", 150, sent.id), ("transferred", -200, sent.id)]


def test_an_account_is_paid_out_to_its_bank_which_may_refuse(world, customer):
    account = world.gateway.create_account(party=Party(kind="store", id=7), key="account-store-7:1").id
    world.enable(account)
    charge(world, customer)
    world.make_available()
    world.gateway.transfer(account, amount=Money(200), transfer=5, key="k-1")
    assert world.gateway.payouts(account) == ()
    world.strike_midnight(account)
    (gone,) = world.gateway.payouts(account)
    assert (gone.cents, gone.status, gone.failure_code) == (200, "pending", "")
    assert gone.arrives_at - gone.created_at == timedelta(days=2)
    world.refuse_at_the_bank(gone.id)
    (back,) = world.gateway.payouts(account)
    assert (back.id, back.cents, back.status, back.failure_code) == (gone.id, 200, "failed", "account_closed")


def test_all_payments_are_listed_with_what_was_taken_and_given_back(world, customer):
    held = hold(world, customer)
    taken = charge(world, customer)
    part = hold(world, customer, about=reference("part"), key="k-part")
    world.gateway.capture(part.id, amount=Money(4000), key="k-capture")
    world.gateway.refund(part.id, amount=Money(300), reference=reference("part"), number=1, key="k-refund")
    found = [
        (one.intent.reference.step, one.intent.status, one.amount_cents, one.intent.received_cents, one.returned_cents)
        for one in world.gateway.summaries()
    ]
    assert found == [
        ("part", "captured", 5000, 4000, 300),
        ("tip", "captured", 500, 500, 0),
        ("estimate", "authorised", 5000, 0, 0),
    ]
    assert [one.intent.id for one in world.gateway.summaries(after=taken.id)] == [held.id]


@pytest.mark.parametrize("won", [True, False])
def test_a_dispute_takes_the_money_until_it_is_decided(world, customer, won):
    taken = charge(world, customer)
    assert world.gateway.disputes(taken.id) == ()
    world.dispute(taken.id)
    (opened,) = world.gateway.disputes(taken.id)
    assert (opened.status, opened.cents, opened.reason) == ("open", 500, "fraudulent")
    world.decide_dispute(taken.id, won=won)
    assert world.gateway.disputes(taken.id)[0].status == ("won" if won else "lost")
    moved = [(one.cause, one.cents, one.source) for one in world.gateway.movements()]
    assert moved[-2:] == [("disputed", -500, opened.id), ("captured", 500, taken.id)]
    assert moved[:-2] == ([("dispute_won", 500, opened.id)] if won else [])


def test_no_method_of_the_interface_is_left_out():
    asked = re.findall(r"world\.gateway\.(\w+)\(", Path(__file__).read_text(encoding="utf-8"))
    assert set(asked) == {name for name in vars(PaymentGateway) if not name.startswith("_")}
