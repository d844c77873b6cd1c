"""A payment provider in this process, for tests: no network, no clock, failures on demand.

Cards are called as Stripe's test cards are: ``pm_card_chargeDeclined`` cannot be saved, ``pm_card_chargeCustomerFail``
can be and then declines, ``pm_card_authenticationRequired`` asks the bank (3-D Secure), all others pay.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal, TypeVar

from apps.common import clock
from apps.common.money import Money
from apps.payments.errors import (
    CardDeclined,
    ProviderUnavailable,
    TransferRefused,
    UnexpectedState,
    UnknownObject,
)
from apps.payments.gateway import (
    CardCheck,
    CardPage,
    Disputed,
    GivenBack,
    Intent,
    Movement,
    MovementCause,
    PaidOut,
    Party,
    ProviderAccount,
    Reference,
    SavedCard,
    Sent,
    Summary,
)

T = TypeVar("T")

PAGE = 100


@dataclass
class FakeGateway:
    """``fail_next("capture", after_work=True)`` makes one call do its work and lose the answer."""

    intents: dict[str, Intent] = field(default_factory=dict)
    amounts: dict[str, int] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    """Every call that arrived: method, and the key or the id it was about."""
    checks: dict[str, CardCheck] = field(default_factory=dict)
    disputed: dict[str, list[Disputed]] = field(default_factory=dict)
    """Disputes by intent."""
    accounts: dict[str, ProviderAccount] = field(default_factory=dict)
    available_cents: int = 0
    """What can be sent to accounts."""
    sent: dict[str, Sent] = field(default_factory=dict)
    receivers: dict[str, str] = field(default_factory=dict)
    to_banks: dict[str, list[PaidOut]] = field(default_factory=dict)
    """Payouts by account, oldest first."""
    pages: dict[str, CardPage] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    given_back: dict[str, list[GivenBack]] = field(default_factory=dict)
    """Refunds by intent."""
    refund_count: int = 0
    moved: list[Movement] = field(default_factory=list)
    """Everything that moved money, oldest first."""
    _answers: dict[str, Any] = field(default_factory=dict)
    _failures: list[tuple[str, bool, bool]] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def fail_next(self, method: str, *, after_work: bool = False, is_kept: bool = False) -> None:
        """``is_kept``: the failure is stored for the key and repeated for ever, as Stripe does with a 500."""
        self._failures.append((method, after_work, is_kept))

    def answer_bank(self, intent: str, *, approve: bool) -> None:
        found = self.intents[intent]
        status = "authorised" if approve else "declined"
        code = "" if approve else "payment_intent_authentication_failure"
        self.intents[intent] = replace(found, status=status, action_url="", failure_code=code)  # type: ignore[arg-type]

    def expire(self, intent: str) -> None:
        self.intents[intent] = replace(self.intents[intent], status="canceled")

    def finish_page(self, page: str, card: str) -> None:
        self.owners[card] = self.pages[page].customer
        self.pages[page] = replace(self.pages[page], card=_saved(card))

    @property
    def held_cents(self) -> int:
        """What customers cannot spend elsewhere at the moment."""
        return sum(self.amounts[intent.id] for intent in self.intents.values() if intent.status == "authorised")

    @property
    def taken_cents(self) -> int:
        return sum(intent.received_cents for intent in self.intents.values())

    def create_customer(self, *, customer_id: int, key: str) -> str:
        return self._once("create_customer", key, lambda: f"cus_{customer_id}")

    def card_page(self, *, customer: str, customer_id: int, success_url: str, cancel_url: str) -> CardPage:
        def make() -> CardPage:
            made = CardPage(id=f"cs_{len(self.pages) + 1}", url="https://pay.example/", customer=customer, card=None)
            self.pages[made.id] = made
            return made

        return self._once("card_page", "", make)

    def retrieve_card_page(self, page: str) -> CardPage:
        if page not in self.pages:
            raise UnknownObject(page)
        return self._once("retrieve_card_page", "", lambda: self.pages[page])

    def attach(self, *, customer: str, card: str) -> SavedCard:
        if self.owners.get(card, customer) != customer or "unknown" in card:
            raise UnknownObject(card)
        if "chargeDeclined" in card:
            raise CardDeclined("Your card was declined.", reason="generic_decline")

        def keep() -> SavedCard:
            saved = card if card in self.owners else f"{card}_{len(self.owners) + 1}"
            self.owners[saved] = customer
            return _saved(saved)

        return self._once("attach", "", keep)

    def authorise(
        self, *, customer: str, card: str, amount: Money, reference: Reference, return_url: str, key: str
    ) -> Intent:
        def make() -> Intent:
            made = Intent(id=f"pi_{len(self.intents) + 1}", status="authorised", reference=reference)
            if "chargeCustomerFail" in card:
                made = replace(made, status="declined", failure_code="generic_decline")
            elif "authenticationRequired" in card and not return_url:
                made = replace(made, status="declined", failure_code="authentication_required")
            elif "authenticationRequired" in card:
                made = replace(made, status="requires_action", action_url=f"https://bank.example/{made.id}")
            self.intents[made.id], self.amounts[made.id] = made, amount.cents
            return made

        return self._once("authorise", key, make)

    def check(self, *, customer: str, card: str, reference: Reference, return_url: str, key: str) -> CardCheck:
        def make() -> CardCheck:
            made = CardCheck(id=f"seti_{len(self.checks) + 1}", status="ready", reference=reference)
            if "Required" in card:
                made = replace(made, status="requires_action", action_url=f"https://bank.example/{made.id}")
            self.checks[made.id] = made
            return made

        return self._once("check", key, make)

    def retrieve_check(self, check: str) -> CardCheck:
        return self._once("retrieve_check", "", lambda: self.checks[check])

    def answer_check(self, check: str, *, approve: bool) -> None:
        code = "" if approve else "setup_intent_authentication_failure"
        answered = replace(self.checks[check], action_url="", failure_code=code)
        self.checks[check] = replace(answered, status="ready" if approve else "declined")

    def charge(self, *, customer: str, card: str, amount: Money, reference: Reference, key: str) -> Intent:
        def make() -> Intent:
            made = Intent(id=f"pi_{len(self.intents) + 1}", status="captured", reference=reference)
            if "chargeCustomerFail" in card:
                made = replace(made, status="declined", failure_code="generic_decline")
            elif "authenticationRequired" in card:
                made = replace(made, status="declined", failure_code="authentication_required")
            else:
                made = replace(made, received_cents=amount.cents)
                self._move("captured", amount.cents, made.id, reference)
            self.intents[made.id], self.amounts[made.id] = made, amount.cents
            return made

        return self._once("charge", key, make)

    def find(self, *, customer: str, reference: Reference) -> Intent | None:
        return self._once(
            "find", "", lambda: next((i for i in self.intents.values() if i.reference == reference), None)
        )

    def retrieve(self, intent: str) -> Intent:
        return self._once("retrieve", "", lambda: self.intents[intent])

    def capture(self, intent: str, *, amount: Money, key: str) -> Intent:
        def take() -> Intent:
            if self.intents[intent].status != "authorised" or amount.cents > self.amounts[intent]:
                raise UnexpectedState(intent)
            self.intents[intent] = replace(self.intents[intent], status="captured", received_cents=amount.cents)
            self._move("captured", amount.cents, intent, self.intents[intent].reference)
            return self.intents[intent]

        return self._once("capture", key, take)

    def cancel(self, intent: str, *, key: str) -> Intent:
        def release() -> Intent:
            if self.intents[intent].status in ("captured", "canceled"):
                raise UnexpectedState(intent)
            self.intents[intent] = replace(self.intents[intent], status="canceled")
            return self.intents[intent]

        return self._once("cancel", key, release)

    def refund(self, intent: str, *, amount: Money, reference: Reference, number: int, key: str) -> GivenBack:
        return self._once("refund", key, lambda: self.give_back(intent, amount.cents, reference, number))

    def refunds(self, intent: str) -> tuple[GivenBack, ...]:
        return self._once("refunds", "", lambda: tuple(self.given_back.get(intent, ())))

    def give_back(
        self, intent: str, cents: int, reference: Reference | None = None, number: int | None = None
    ) -> GivenBack:
        """Without a reference it is a refund made by hand on the provider's own pages."""
        if cents > self.intents[intent].received_cents - self.returned_cents(intent):
            raise UnexpectedState(intent)
        self.refund_count += 1
        made = GivenBack(id=f"re_{self.refund_count}", status="succeeded", cents=cents, number=number)
        self.given_back.setdefault(intent, []).append(made)
        self._move("refunded", -cents, made.id, reference)
        return made

    def send_back(self, intent: str, refund: str) -> None:
        """The customer's bank would not have it."""
        refunds = self.given_back[intent]
        at = next(i for i, one in enumerate(refunds) if one.id == refund)
        refunds[at] = replace(refunds[at], status="failed", failure_code="lost_or_stolen_card")
        self._move("refund_failed", refunds[at].cents, refund, self.intents[intent].reference)

    def returned_cents(self, intent: str) -> int:
        return sum(one.cents for one in self.given_back.get(intent, ()) if one.status != "failed")

    def disputes(self, intent: str) -> tuple[Disputed, ...]:
        return self._once("disputes", "", lambda: tuple(self.disputed.get(intent, ())))

    def dispute(self, intent: str) -> str:
        """The customer's bank takes everything back; returns the dispute's id."""
        cents = self.intents[intent].received_cents
        made = Disputed(id=f"du_{intent}", status="open", cents=cents, reason="fraudulent")
        self.disputed.setdefault(intent, []).append(made)
        self._move("disputed", -cents, made.id, None)
        return made.id

    def decide_dispute(self, intent: str, *, won: bool) -> None:
        open_one = self.disputed[intent][-1]
        self.disputed[intent][-1] = replace(open_one, status="won" if won else "lost")
        if won:
            self._move("dispute_won", open_one.cents, open_one.id, None)

    def create_account(self, *, party: Party, key: str) -> ProviderAccount:
        def make() -> ProviderAccount:
            made = ProviderAccount(id=f"acct_{len(self.accounts) + 1}", status="pending")
            self.accounts[made.id] = made
            return made

        return self._once("create_account", key, make)

    def account(self, account: str) -> ProviderAccount:
        if account not in self.accounts:
            raise UnknownObject(account)
        return self._once("account", "", lambda: self.accounts[account])

    def account_page(self, account: str, *, return_url: str, refresh_url: str) -> str:
        return self._once("account_page", "", lambda: f"https://provider.example/onboard/{account}")

    def decide(self, account: str, status: Literal["pending", "enabled", "restricted"]) -> None:
        """The provider has looked at the account."""
        self.accounts[account] = replace(self.accounts[account], status=status)

    def transfer(self, account: str, *, amount: Money, transfer: int, key: str) -> Sent:
        def send() -> Sent:
            if self.accounts[account].status != "enabled":
                raise TransferRefused(account, code="insufficient_capabilities_for_transfer")
            if amount.cents > self.available_cents:
                raise TransferRefused(account, code="balance_insufficient")
            self.available_cents -= amount.cents
            made = Sent(id=f"tr_{len(self.sent) + 1}", cents=amount.cents, transfer=transfer)
            self.sent[made.id] = made
            self.receivers[made.id] = account
            self._move("transferred", -amount.cents, made.id, None)
            return made

        return self._once("transfer", key, send)

    def find_transfer(self, account: str, *, transfer: int) -> Sent | None:
        def look() -> Sent | None:
            mine = (one for one in self.sent.values() if self.receivers[one.id] == account)
            return next((one for one in mine if one.transfer == transfer), None)

        return self._once("find_transfer", "", look)

    def retrieve_transfer(self, sent: str) -> Sent:
        return self._once("retrieve_transfer", "", lambda: self.sent[sent])

    def take_back(self, sent: str, *, amount: Money, key: str) -> Sent:
        def back() -> Sent:
            before = self.sent[sent]
            if amount.cents > before.cents - before.reversed_cents:
                raise UnexpectedState(sent)
            self.sent[sent] = replace(before, reversed_cents=before.reversed_cents + amount.cents)
            self.available_cents += amount.cents
            self._move("taken_back", amount.cents, sent, None)
            return self.sent[sent]

        return self._once("take_back", key, back)

    def payouts(self, account: str) -> tuple[PaidOut, ...]:
        return self._once("payouts", "", lambda: tuple(reversed(self.to_banks.get(account, []))))

    def pay_to_bank(self, account: str) -> str:
        """The account's schedule says so: all that it has is on its way; returns the payout's id."""
        received = sum(s.cents - s.reversed_cents for s in self.sent.values() if self.receivers[s.id] == account)
        gone = self.to_banks.setdefault(account, [])
        cents = received - sum(one.cents for one in gone if one.status in ("pending", "paid"))
        now = clock.now()
        name = f"po_{account}_{len(gone) + 1}"
        arrives = now + timedelta(days=2)
        gone.append(PaidOut(id=name, cents=cents, status="pending", created_at=now, arrives_at=arrives))
        return name

    def bank_says(self, payout: str, status: Literal["paid", "failed"]) -> None:
        for gone in self.to_banks.values():
            code = "account_closed" if status == "failed" else ""
            gone[:] = [replace(one, status=status, failure_code=code) if one.id == payout else one for one in gone]

    def summaries(self, *, after: str = "") -> tuple[Summary, ...]:
        def page() -> tuple[Summary, ...]:
            newest_first = list(self.intents)[::-1]
            start = newest_first.index(after) + 1 if after else 0
            return tuple(
                Summary(
                    intent=self.intents[name],
                    amount_cents=self.amounts[name],
                    returned_cents=self.returned_cents(name),
                )
                for name in newest_first[start : start + PAGE]
            )

        return self._once("summaries", "", page)

    def movements(self, *, after: str = "") -> tuple[Movement, ...]:
        def page() -> tuple[Movement, ...]:
            newest_first = self.moved[::-1]
            ids = [one.id for one in newest_first]
            start = ids.index(after) + 1 if after else 0
            return tuple(newest_first[start : start + PAGE])

        return self._once("movements", "", page)

    def _move(self, cause: MovementCause, cents: int, source: str, reference: Reference | None) -> None:
        name = f"txn_{len(self.moved) + 1}"
        self.moved.append(
            Movement(id=name, cause=cause, cents=cents, at=clock.now(), source=source, reference=reference)
        )

    def _once(self, method: str, key: str, work: Callable[[], T]) -> T:
        with self._lock:
            self.calls.append((method, key))
            if key in self._answers:
                answer: T | ProviderUnavailable = self._answers[key]
                if isinstance(answer, ProviderUnavailable):
                    raise answer
                return answer
            failure = next((one for one in self._failures if one[0] == method), None)
            if failure is not None:
                self._failures.remove(failure)
                _, after_work, is_kept = failure
                done = work() if after_work else None
                if key and (after_work or is_kept):
                    self._answers[key] = ProviderUnavailable(is_replay=True) if is_kept else done
                raise ProviderUnavailable
            done = work()
            if key:
                self._answers[key] = done
            return done


def _saved(card: str) -> SavedCard:
    return SavedCard(id=card, brand="visa", last4="4242", exp_month=12, exp_year=2040)
