"""What cannot be meant, or not now: where it is said, and how to hear what is answered.

Each refusal is looked at from the app (GraphQL, REST) and from the page, and both times with every row of
every database, and everything at the payment provider, compared before and after.
"""

import html
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from apps.common import outbox
from tests import databases
from tests.flows import steps
from tests.flows.people import Customer, Refusal
from tests.orders.factories import BANANAS, MILK
from tests.stores.factories import COLUMBUS

VISIT = {"django_session"}
"""A page may remember what it has to say."""
NOWHERE, BEYOND = "9000000000000000000", str(10**30)


@dataclass
class World:
    """A customer with a full cart, and a stranger with everything of their own, at another store."""

    bank: Any
    market: Any = field(init=False)
    customer: Customer = field(init=False)
    version: int = field(init=False)

    def __post_init__(self) -> None:
        self.market, self.other = steps.market_on("store_1"), steps.market_on("store_0")
        self.customer = Customer(self.bank, at=COLUMBUS, shard="customer_0")
        self.version = self.customer.fill_cart(self.market.store_id, self.items(**{BANANAS: "2.5", MILK: "2"}))
        self.page = self.customer.browser()
        outbox.drain()

    @property
    def stranger(self) -> Customer:
        return Customer(self.bank, at=COLUMBUS, shard="customer_1")

    def items(self, **quantities: str) -> dict[int, str]:
        return {self.market.item_ids[code]: quantity for code, quantity in quantities.items()}

    def request(self, **changes: Any) -> dict[str, Any]:
        return self.customer.request(self.market.store_id, self.version, **changes)

    def check_out(self, request: dict[str, Any]) -> Any:
        """The same request as the page sends it."""
        fields = {"cart_version": "cartVersion", "window": "windowId", "address": "addressId", "card": "cardId"}
        fields |= {"tip": "tipCents", "key": "idempotencyKey"}
        form = {name: request[sent] for name, sent in fields.items()}
        return self.page.post(f"/stores/{request['storeId']}/checkout/", form)

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Nothing is written in the block, here or at the provider."""
        before, known = databases.contents(), self.bank.objects("payment_intent")
        yield
        assert databases.changed(before, databases.contents(), ignoring=VISIT) == set()
        assert self.bank.objects("payment_intent") == known


def refusal(call: Callable[..., Any], *arguments: Any, **more: Any) -> tuple[str, str]:
    """Code and sentence."""
    with pytest.raises(Refusal) as refused:
        call(*arguments, **more)
    sentence = refused.value.sentence
    assert sentence == sentence.strip()
    assert re.search(r"[.!]$", sentence), f"not a sentence: {sentence}"
    return refused.value.code, sentence


_ALERT = re.compile(r'<p class="errors[^"]*" data-code="(\w+)" role="alert">(.*?)</p>')


def alert(response: Any) -> tuple[str, str]:
    """Code and sentence of a page that refuses."""
    ((code, sentence),) = _ALERT.findall(response.content.decode())
    return code, html.unescape(sentence)


def said_next(world: World, response: Any) -> str:
    """The sentence on the page to which the visitor is sent back."""
    assert response.status_code == 302
    shown = world.page.get(response["Location"]).content.decode()
    (sentence,) = re.findall(r'<p class="notice [^"]*error[^"]*" role="status">(.*?)</p>', shown)
    return html.unescape(sentence)
