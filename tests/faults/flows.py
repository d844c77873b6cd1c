"""What is done with money, each thing to be killed at every point by ``test_every_crash``: a new one is one entry more.

A flow acts on a cell: an order, a customer and a party of its own. ``act`` is what somebody asks for, and asks for
again after a crash; ``alone`` is where it may stand when nobody does and only the sweeps come by; ``ends`` is where it
stands when it was asked for again.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import stripe

import sharding
from apps.common.money import Money
from apps.ledger import services as ledger
from apps.payments import models, selectors, services
from apps.payments.errors import PaymentConflict
from apps.payments.fake import FakeGateway
from tests.payments.factories import NOW

SECRET = "whsec_faults"
CUSTOMERS = (1, 9_001)
"""On different shards."""
URL = "https://shop.example/orders/"


@dataclass(frozen=True)
class Cell:
    number: int
    fake: FakeGateway
    cards: dict[tuple[int, str], int]

    @property
    def customer_id(self) -> int:
        return CUSTOMERS[self.number % 2]

    @property
    def order_id(self) -> int:
        return 1_000 + self.number

    @property
    def party(self) -> dict[str, object]:
        return {"party_kind": "store", "party_id": 1_000 + self.number}

    @property
    def payment(self) -> dict[str, object]:
        return {"customer_id": self.customer_id, "order_id": self.order_id, "step": "estimate", "now": NOW}

    def card(self, name: str = "pm_card_visa") -> int:
        key = self.customer_id, name
        if key not in self.cards:
            self.cards[key] = services.add_card(customer_id=self.customer_id, payment_method=name, now=NOW)
        return self.cards[key]

    @property
    def intent(self) -> str:
        (row,) = models.Payment.objects.filter(customer_id=self.customer_id, order_id=self.order_id)
        return row.intent_id

    @property
    def account(self) -> str:
        found = selectors.account(**self.party)
        return found.account_id if found else ""


Outcome = tuple[object, ...]


@dataclass(frozen=True, kw_only=True)
class Flow:
    name: str
    act: Callable[[Cell], object]
    outcome: Callable[[Cell], Outcome]
    alone: frozenset[Outcome]
    ends: Outcome
    prepare: Callable[[Cell], object] = lambda cell: None


# What can be seen of it


def payment(cell: Cell) -> Outcome:
    """The payment's status and what was taken; how many intents the provider has, and what it holds and took."""
    rows = selectors.payments(customer_id=cell.customer_id, order_id=cell.order_id)
    mine = [i for i in cell.fake.intents.values() if i.reference and i.reference.order_id == cell.order_id]
    return (
        *((row.status, row.captured.cents) for row in rows),
        *((one.status, one.received_cents) for one in mine),
    )


def returned(cell: Cell) -> Outcome:
    rows = selectors.refunds(customer_id=cell.customer_id, order_id=cell.order_id)
    return tuple((row.status, row.amount.cents) for row in rows), cell.fake.returned_cents(cell.intent)


def sent(cell: Cell) -> Outcome:
    at_provider = [one for one in cell.fake.sent.values() if cell.fake.receivers[one.id] == cell.account]
    return (
        tuple((row.status, row.amount.cents, row.reversed.cents) for row in selectors.transfers(**cell.party)),
        tuple((one.cents, one.reversed_cents) for one in at_provider),
    )


def disputed(cell: Cell) -> Outcome:
    rows = selectors.disputes(customer_id=cell.customer_id, order_id=cell.order_id)
    return tuple((row.status, row.amount.cents) for row in rows)


def at_the_bank(cell: Cell) -> Outcome:
    return tuple((row.status, row.amount.cents) for row in selectors.payouts(**cell.party))


def account(cell: Cell) -> Outcome:
    found = selectors.account(**cell.party)
    return (found.status, bool(found.account_id)) if found else ()


# What is done


def authorise(cell: Cell, card: str = "pm_card_visa") -> None:
    services.authorise(**cell.payment, amount=Money(5000), card_id=cell.card(card), return_url=URL)


def asked_by_the_bank(cell: Cell) -> None:
    authorise(cell, "pm_card_authenticationRequired")


def answered(cell: Cell) -> None:
    asked_by_the_bank(cell)
    cell.fake.answer_bank(cell.intent, approve=True)


def given_up(cell: Cell) -> None:
    """Somebody pays and changes their mind: asked for again, it is the second thing they said that counts."""
    with suppress(PaymentConflict):  # it was voided already
        authorise(cell)
    void(cell)


def capture(cell: Cell) -> None:
    services.capture(**cell.payment, amount=Money(4000))


def void(cell: Cell) -> None:
    services.void(customer_id=cell.customer_id, order_id=cell.order_id, now=NOW)


def captured(cell: Cell) -> None:
    authorise(cell)
    capture(cell)


def check(cell: Cell) -> None:
    services.prepare(**cell.payment, amount=Money(5000), card_id=cell.card(), return_url=URL)


def ended_by_the_provider(cell: Cell) -> None:
    authorise(cell)
    cell.fake.expire(cell.intent)
    services.refresh(**cell.payment)


def charge(cell: Cell, card: str = "pm_card_visa") -> None:
    services.charge(**cell.payment, amount=Money(300), card_id=cell.card(card))


def refund(cell: Cell) -> None:
    named = {"customer_id": cell.customer_id, "order_id": cell.order_id, "now": NOW}
    services.refund(**named, request="issue-1", amount=Money(700), reason="missing")


def sold(cell: Cell) -> None:
    """A store may be paid, and is owed 850 cents."""
    services.open_account(**cell.party, now=NOW)
    cell.fake.decide(cell.account, "enabled")
    services.refresh_account(**cell.party, now=NOW)
    cell.fake.available_cents += 1_000_000
    with sharding.atomic(sharding.home("customer", cell.customer_id)):
        ledger.book_sale(
            customer_id=cell.customer_id,
            order_id=cell.order_id,
            store_id=1_000 + cell.number,
            cents_by_kind={"item": 1000},
            currency="USD",
            now=NOW - timedelta(days=1),
        )


def pay_out(cell: Cell) -> None:
    services.pay_out(day=NOW.date(), now=NOW)


def paid_out(cell: Cell) -> None:
    sold(cell)
    pay_out(cell)


def take_back(cell: Cell) -> None:
    (row,) = models.Transfer.objects.filter(account__party_id=1_000 + cell.number)
    services.take_back(transfer_id=row.pk, total=Money(300), now=NOW)


def news(kind: str, subject: Callable[[Cell], dict[str, str]], account: bool = False) -> Callable[[Cell], None]:
    """The provider's webhook, sent again until it is taken, and what it makes us do."""

    def tell(cell: Cell) -> None:
        event = {"id": f"evt_{kind}_{cell.number}", "type": kind, "data": {"object": subject(cell)}}
        payload = json.dumps(event | ({"account": cell.account} if account else {}))
        header = stripe.WebhookSignature.generate_signature_header(payload, SECRET, timestamp=int(NOW.timestamp()))
        services.receive_event(payload=payload.encode(), signature=header, now=NOW)
        services.handle_event(event_id=event["id"], now=NOW)

    return tell


def of_intent(cell: Cell) -> dict[str, str]:
    return {"id": cell.intent}


def about_intent(cell: Cell) -> dict[str, str]:
    return {"id": "x", "payment_intent": cell.intent}


def in_dispute(cell: Cell) -> None:
    captured(cell)
    cell.fake.dispute(cell.intent)


def dispute_decided(cell: Cell) -> None:
    in_dispute(cell)
    news("charge.dispute.created", about_intent)(cell)
    cell.fake.decide_dispute(cell.intent, won=True)


def returned_by_hand(cell: Cell) -> None:
    captured(cell)
    cell.fake.give_back(cell.intent, 200)


def refused_by_the_bank(cell: Cell) -> None:
    paid_out(cell)
    cell.fake.bank_says(cell.fake.pay_to_bank(cell.account), "failed")


HELD = (("authorised", 0), ("authorised", 0))
TAKEN = (("captured", 4000), ("captured", 4000))
LET_GO = (("voided", 0), ("canceled", 0))
UNASKED = ((("authorising", 0),), ())

FLOWS = [
    Flow(name="authorise", act=authorise, outcome=payment, alone=frozenset({HELD, *UNASKED}), ends=HELD),
    Flow(
        name="authorise and give up",
        act=given_up,
        outcome=payment,
        alone=frozenset({HELD, LET_GO, (("voided", 0),), *UNASKED}),
        ends=LET_GO,
    ),
    Flow(
        name="confirm what the bank was asked",
        prepare=answered,
        act=lambda cell: services.refresh(**cell.payment),
        outcome=payment,
        alone=frozenset({HELD}),
        ends=HELD,
    ),
    Flow(
        name="the webhook of what the bank was asked",
        prepare=answered,
        act=news("payment_intent.amount_capturable_updated", of_intent),
        outcome=payment,
        alone=frozenset({HELD}),
        ends=HELD,
    ),
    Flow(
        name="check a card for later",
        act=check,
        outcome=payment,
        alone=frozenset({(), (("checking", 0),), (("checked", 0),)}),
        ends=(("checked", 0),),
    ),
    Flow(
        name="hold what was checked",
        prepare=check,
        act=authorise,
        outcome=payment,
        alone=frozenset({(("checked", 0),), HELD, *UNASKED}),
        ends=HELD,
    ),
    Flow(
        name="hold anew",
        prepare=ended_by_the_provider,
        act=lambda cell: services.renew(**cell.payment),
        outcome=payment,
        alone=frozenset(
            {
                (("expired", 0), ("canceled", 0)),
                (("authorising", 0), ("canceled", 0)),
                (("authorised", 0), ("canceled", 0), ("authorised", 0)),
            }
        ),
        ends=(("authorised", 0), ("canceled", 0), ("authorised", 0)),
    ),
    Flow(name="capture", prepare=authorise, act=capture, outcome=payment, alone=frozenset({HELD, TAKEN}), ends=TAKEN),
    Flow(name="void", prepare=authorise, act=void, outcome=payment, alone=frozenset({HELD, LET_GO}), ends=LET_GO),
    Flow(
        name="charge without the customer",
        act=charge,
        outcome=payment,
        alone=frozenset({(("captured", 300), ("captured", 300)), *UNASKED}),
        ends=(("captured", 300), ("captured", 300)),
    ),
    Flow(
        name="charge a card that declines",
        prepare=lambda cell: cell.card("pm_card_chargeCustomerFail"),
        act=lambda cell: charge(cell, "pm_card_chargeCustomerFail"),
        outcome=payment,
        alone=frozenset({(("declined", 0), ("declined", 0)), *UNASKED}),
        ends=(("declined", 0), ("declined", 0)),
    ),
    Flow(
        name="refund",
        prepare=captured,
        act=refund,
        outcome=returned,
        alone=frozenset({((), 0), ((("succeeded", 700),), 700)}),
        ends=((("succeeded", 700),), 700),
    ),
    Flow(
        name="the webhook of a refund by hand",
        prepare=returned_by_hand,
        act=news("charge.refunded", about_intent),
        outcome=returned,
        alone=frozenset({((), 200), ((("succeeded", 200),), 200)}),
        ends=((("succeeded", 200),), 200),
    ),
    Flow(
        name="the webhook of a dispute",
        prepare=in_dispute,
        act=news("charge.dispute.created", about_intent),
        outcome=disputed,
        alone=frozenset({(), (("open", 4000),)}),
        ends=(("open", 4000),),
    ),
    Flow(
        name="the webhook of a dispute that was won",
        prepare=dispute_decided,
        act=news("charge.dispute.closed", about_intent),
        outcome=disputed,
        alone=frozenset({(("open", 4000),), (("won", 4000),)}),
        ends=(("won", 4000),),
    ),
    Flow(
        name="open an account",
        act=lambda cell: services.open_account(**cell.party, now=NOW),
        outcome=account,
        alone=frozenset({(), ("pending", False), ("pending", True)}),
        ends=("pending", True),
    ),
    Flow(
        name="transfer",
        prepare=sold,
        act=pay_out,
        outcome=sent,
        alone=frozenset({((), ()), ((("sent", 850, 0),), ((850, 0),))}),
        ends=((("sent", 850, 0),), ((850, 0),)),
    ),
    Flow(
        name="take back",
        prepare=paid_out,
        act=take_back,
        outcome=sent,
        alone=frozenset({((("sent", 850, 0),), ((850, 0),)), ((("sent", 850, 300),), ((850, 300),))}),
        ends=((("sent", 850, 300),), ((850, 300),)),
    ),
    Flow(
        name="the webhook of a payout that came back",
        prepare=refused_by_the_bank,
        act=news("payout.failed", lambda cell: {"id": "po"}, account=True),
        outcome=at_the_bank,
        alone=frozenset({(("failed", 850),)}),
        ends=(("failed", 850),),
    ),
]
