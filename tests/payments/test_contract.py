"""Every request of ours against the types of the installed SDK: moving its pin fails here, not in production."""

import re
from collections.abc import Mapping
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl, urlsplit

import pytest
import stripe
import typing_extensions
from stripe import params
from stripe.params import checkout

from apps.common.money import Money
from apps.payments.errors import UnexpectedState
from apps.payments.gateway import Party, Reference
from apps.payments.stripe_gateway import StripeGateway

TYPES = {
    "post /v1/customers": params.CustomerCreateParams,
    "post /v1/checkout/sessions": checkout.SessionCreateParams,
    "get /v1/checkout/sessions/ID": checkout.SessionRetrieveParams,
    "post /v1/payment_methods/ID/attach": params.PaymentMethodAttachParams,
    "post /v1/payment_intents": params.PaymentIntentCreateParams,
    "get /v1/payment_intents": params.PaymentIntentListParams,
    "get /v1/payment_intents/ID": params.PaymentIntentRetrieveParams,
    "post /v1/payment_intents/ID/capture": params.PaymentIntentCaptureParams,
    "post /v1/payment_intents/ID/cancel": params.PaymentIntentCancelParams,
    "post /v1/setup_intents": params.SetupIntentCreateParams,
    "get /v1/setup_intents/ID": params.SetupIntentRetrieveParams,
    "get /v1/disputes": params.DisputeListParams,
    "post /v1/accounts": params.AccountCreateParams,
    "get /v1/accounts/ID": params.AccountRetrieveParams,
    "post /v1/account_links": params.AccountLinkCreateParams,
    "post /v1/transfers": params.TransferCreateParams,
    "get /v1/transfers": params.TransferListParams,
    "get /v1/transfers/ID": params.TransferRetrieveParams,
    "post /v1/transfers/ID/reversals": params.TransferReversalCreateParams,
    "get /v1/payouts": params.PayoutListParams,
    "post /v1/refunds": params.RefundCreateParams,
    "get /v1/refunds": params.RefundListParams,
    "get /v1/balance_transactions": params.BalanceTransactionListParams,
}
OPTIONS = {"api_key", "stripe_version", "stripe_account", "stripe_context", "max_network_retries", "idempotency_key",
           "content_type", "headers"}  # fmt: skip


class Recorder(stripe.RequestsClient):
    """The SDK's own client, keeping what it sends."""

    def __init__(self) -> None:
        super().__init__(timeout=5.0)
        self.sent: list[tuple[str, dict[str, str], str | None]] = []

    def request(self, method: str, url: str, headers: Any, post_data: Any = None) -> Any:
        parts = urlsplit(url)
        path = re.sub(r"/(cs|pm|pi|seti|acct|tr)_\w+", "/ID", parts.path)
        fields = dict(parse_qsl(post_data if method == "post" else parts.query))
        self.sent.append((f"{method} {path}", fields, headers.get("Idempotency-Key")))
        return super().request(method, url, headers, post_data)


def problems(endpoint: str, fields: dict[str, str]) -> list[str]:
    """What the type of that endpoint does not know, or misses, in a request body as it was on the wire."""
    hints = _hints(TYPES[endpoint])
    given = {name.partition("[")[0] for name in fields}
    missing = [
        f"{name} is missing"
        for name, hint in hints.items()
        if get_origin(hint) not in (NotRequired, typing_extensions.NotRequired) and name not in given
    ]
    return missing + [f"{name}={value}" for name, value in fields.items() if not _fits(hints, name, value)]


def _hints(described: type) -> dict[str, Any]:
    # Names that the SDK imports for type checkers only.
    names = {"StripeContext": stripe.StripeContext, "Mapping": Mapping}
    return get_type_hints(described, localns=names, include_extras=True)


def _fits(hints: dict[str, Any], name: str, value: str) -> bool:
    first, _, rest = name.partition("[")
    path = [first, *rest.rstrip("]").split("][")] if rest else [first]
    if path[0] not in hints or path[0] in OPTIONS:
        return False
    return _accepts(hints[path[0]], path[1:], value)


def _accepts(hint: Any, path: list[str], value: str) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (NotRequired, typing_extensions.NotRequired):
        return _accepts(inner[0], path, value)
    if origin is Union or type(hint).__name__ == "UnionType":
        return any(_accepts(one, path, value) for one in inner)
    if origin is list:
        return bool(path) and path[0].isdigit() and _accepts(inner[0], path[1:], value)
    if origin is dict:
        return len(path) == 1 and inner == (str, str)
    if isinstance(hint, type) and hasattr(hint, "__required_keys__"):
        nested = _hints(hint)
        return bool(path) and path[0] in nested and _accepts(nested[path[0]], path[1:], value)
    if path:
        return False
    if origin is Literal:
        return value in inner
    if hint is int:
        return value.lstrip("-").isdigit()
    if hint is bool:
        return value in ("true", "false")
    return hint is str


@pytest.fixture
def sent(sandbox):
    """What the gateway sends when it does everything it can."""
    recorder = Recorder()
    gateway = StripeGateway(timeout=5.0, http_client=recorder)
    customer = gateway.create_customer(customer_id=1, key="customer-1:1")
    page = gateway.card_page(
        customer=customer, customer_id=1, success_url="https://a.example/{CHECKOUT_SESSION_ID}", cancel_url="https://a.example/"
    )  # fmt: skip
    gateway.retrieve_card_page(page.id)
    card = gateway.attach(customer=customer, card="pm_card_visa").id
    for step in ("estimate", "overage"):
        reference = Reference(customer_id=1, order_id=12, step=step, attempt=1)
        intent = gateway.authorise(
            customer=customer,
            card=card,
            amount=Money(5000),
            reference=reference,
            return_url="https://a.example/",
            key=f"order-12:{step}:1",
        )
        assert gateway.find(customer=customer, reference=reference) == gateway.retrieve(intent.id) == intent
        if step == "estimate":
            assert gateway.capture(intent.id, amount=Money(4000), key="order-12:estimate:2").received_cents == 4000
            made = gateway.refund(
                intent.id, amount=Money(1000), reference=reference, number=1, key="order-12:estimate.refund-1:1"
            )
            assert gateway.refunds(intent.id) == (made,)
            with pytest.raises(UnexpectedState):
                gateway.cancel(intent.id, key="order-12:estimate:4")
        else:
            assert gateway.cancel(intent.id, key="order-12:overage:2").status == "canceled"
    later = Reference(customer_id=1, order_id=13, step="estimate", attempt=1)
    check = gateway.check(
        customer=customer, card=card, reference=later, return_url="https://a.example/", key="order-13:estimate:1"
    )
    assert (check.status, check.reference) == ("ready", later)
    assert gateway.retrieve_check(check.id) == check
    gateway.authorise(
        customer=customer, card=card, amount=Money(5000), reference=later, return_url="", key="order-13:estimate:2"
    )
    tip = Reference(customer_id=1, order_id=12, step="tip", attempt=1)
    taken = gateway.charge(customer=customer, card=card, amount=Money(300), reference=tip, key="order-12:tip:1")
    assert (taken.status, taken.received_cents) == ("captured", 300)
    assert gateway.movements()[0].source == taken.id
    newest = gateway.movements()[1]
    sandbox.dispute(next(one["id"] for one in sandbox.objects("charge") if one["payment_intent"] == taken.id))
    assert [(one.status, one.cents) for one in gateway.disputes(taken.id)] == [("open", 300)]
    assert (gateway.movements()[0].cause, gateway.movements()[0].cents) == ("disputed", -300)
    account = gateway.create_account(party=Party(kind="store", id=7), key="account-store-7:1").id
    assert gateway.account(account).status == "pending"
    page = gateway.account_page(account, return_url="https://a.example/", refresh_url="https://a.example/")
    assert page.endswith(account)
    sandbox.decide(account, enabled=True)
    sandbox.advance(seconds=3 * 86_400)
    gone = gateway.transfer(account, amount=Money(200), transfer=5, key="transfer-5:1")
    assert gateway.find_transfer(account, transfer=5) == gateway.retrieve_transfer(gone.id) == gone
    assert gateway.take_back(gone.id, amount=Money(50), key="transfer-5:back-50").reversed_cents == 50
    assert [(one.cause, one.cents, one.source) for one in gateway.movements()[:2]] == [
        ("taken_back", 50, gone.id),
        ("transferred", -200, gone.id),
    ]
    sandbox.advance(seconds=86_400)
    assert [one.cents for one in gateway.payouts(account)] == [150]
    latest = gateway.summaries()[0]
    assert (latest.intent.id, latest.amount_cents, latest.returned_cents) == (taken.id, 300, 0)
    assert [one.returned_cents for one in gateway.summaries(after=taken.id)] == [0, 0, 1000]
    assert (newest.cause, newest.cents) == ("refunded", -1000)
    assert [one.cents for one in gateway.movements(after=newest.id)] == [4000]
    return recorder.sent


def test_every_request_is_what_the_sdk_describes(sent):
    assert {endpoint for endpoint, _, _ in sent} == set(TYPES)
    assert {endpoint: found for endpoint, fields, _ in sent if (found := problems(endpoint, fields))} == {}


def test_every_call_that_moves_money_has_our_key(sent):
    moving = re.compile(
        r"post /v1/(customers|refunds|setup_intents|accounts|transfers(/ID/reversals)?|payment_intents(/ID/\w+)?)$"
    )
    assert [key for endpoint, _, key in sent if moving.match(endpoint)] == [
        "customer-1:1",
        "order-12:estimate:1",
        "order-12:estimate:2",
        "order-12:estimate.refund-1:1",
        "order-12:estimate:4",
        "order-12:overage:1",
        "order-12:overage:2",
        "order-13:estimate:1",
        "order-13:estimate:2",
        "order-12:tip:1",
        "account-store-7:1",
        "transfer-5:1",
        "transfer-5:back-50",
    ]


def test_nothing_that_names_a_person_or_a_card_number_is_sent(sent):
    names = {name for _, fields, _ in sent for name in fields}
    assert not {name for name in names if re.search(r"name|mail|phone|address|card\[|number|cvc", name)}
    assert not [value for _, fields, _ in sent for value in fields.values() if re.fullmatch(r"[\d ]{12,19}", value)]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"payment_method_types[0]": "card"}, "payment_method_types[0]=card"),
        ({"amount": "12.5"}, "amount=12.5"),
        ({"confirm": "yes"}, "confirm=yes"),
        ({"automatic_payment_methods[on]": "true"}, "automatic_payment_methods[on]=true"),
        ({"metadata[a][b]": "c"}, "metadata[a][b]=c"),
    ],
)
def test_the_check_itself_sees_what_is_wrong(fields, problem):
    good = {"amount": "100", "currency": "usd"}
    assert problems("post /v1/payment_intents", good) == []
    assert problems("post /v1/payment_intents", good | fields) == [problem]
    assert problems("post /v1/payment_intents", {"amount": "100"}) == ["currency is missing"]
