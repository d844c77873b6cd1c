"""Every endpoint: a row of method, path, the SDK's request type, and who answers."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from deploy.payments_sandbox import connect, endpoints, intents, methods, payouts, reading, searching, setups
from deploy.payments_sandbox.call import Call
from deploy.payments_sandbox.state import Object

_SECRET = frozenset({"client_secret"})


@dataclass(frozen=True)
class Route:
    """`is_open`: a publishable key may call it, as apps and payment pages do.

    `of_accounts`: may be asked in the name of a connected account (`Stripe-Account`).
    """

    endpoint: str
    request: str
    handler: Callable[[Call], Object]
    is_open: bool = False
    of_accounts: bool = False

    @cached_property
    def extra(self) -> frozenset[str]:
        return _SECRET if self.is_open and "_intents/" in self.endpoint else frozenset()

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(self.endpoint.replace("{id}", r"(?P<id>[A-Za-z0-9_]+)"))


def _read(path: str, kind: str, request: str, *, is_open: bool = False) -> Route:
    return Route(f"GET {path}/{{id}}", f"{request}RetrieveParams", reading.retriever(kind), is_open)


def _list(path: str, kind: str, request: str, of: str | None = None) -> Route:
    return Route(f"GET {path}", f"{request}ListParams", reading.lister(kind, of))


ROUTES = (
    Route("POST /v1/customers", "CustomerCreateParams", methods.create_customer),
    Route("POST /v1/customers/{id}", "CustomerUpdateParams", methods.update_customer),
    _read("/v1/customers", "customer", "Customer"),
    _list("/v1/customers", "customer", "Customer"),
    _list("/v1/customers/{id}/payment_methods", "payment_method", "CustomerPaymentMethod", of="customer"),
    Route("POST /v1/payment_methods", "PaymentMethodCreateParams", methods.create_method, is_open=True),
    Route("POST /v1/payment_methods/{id}/attach", "PaymentMethodAttachParams", methods.attach_method),
    Route("POST /v1/payment_methods/{id}/detach", "PaymentMethodDetachParams", methods.detach_method),
    _read("/v1/payment_methods", "payment_method", "PaymentMethod"),
    _list("/v1/payment_methods", "payment_method", "PaymentMethod"),
    Route("POST /v1/setup_intents", "SetupIntentCreateParams", setups.create),
    Route("POST /v1/setup_intents/{id}/confirm", "SetupIntentConfirmParams", setups.confirm, is_open=True),
    Route("POST /v1/setup_intents/{id}/cancel", "SetupIntentCancelParams", setups.cancel),
    _read("/v1/setup_intents", "setup_intent", "SetupIntent", is_open=True),
    _list("/v1/setup_intents", "setup_intent", "SetupIntent"),
    Route("POST /v1/checkout/sessions", "checkout.SessionCreateParams", setups.create_session),
    _read("/v1/checkout/sessions", "checkout.session", "checkout.Session"),
    _list("/v1/checkout/sessions", "checkout.session", "checkout.Session"),
    Route("POST /v1/payment_intents", "PaymentIntentCreateParams", intents.create),
    Route("POST /v1/payment_intents/{id}", "PaymentIntentUpdateParams", intents.update),
    Route("POST /v1/payment_intents/{id}/confirm", "PaymentIntentConfirmParams", intents.confirm, is_open=True),
    Route("POST /v1/payment_intents/{id}/capture", "PaymentIntentCaptureParams", intents.capture),
    Route("POST /v1/payment_intents/{id}/cancel", "PaymentIntentCancelParams", intents.cancel),
    _read("/v1/payment_intents", "payment_intent", "PaymentIntent", is_open=True),
    _list("/v1/payment_intents", "payment_intent", "PaymentIntent"),
    Route(
        "POST /v1/payment_intents/{id}/increment_authorization",
        "PaymentIntentIncrementAuthorizationParams",
        intents.increment,
    ),
    Route("GET /v1/payment_intents/search", "PaymentIntentSearchParams", searching.payment_intents),
    _read("/v1/charges", "charge", "Charge"),
    _list("/v1/charges", "charge", "Charge"),
    Route("POST /v1/refunds", "RefundCreateParams", intents.refund),
    _read("/v1/refunds", "refund", "Refund"),
    _list("/v1/refunds", "refund", "Refund"),
    _read("/v1/disputes", "dispute", "Dispute"),
    _list("/v1/disputes", "dispute", "Dispute"),
    Route("POST /v1/accounts", "AccountCreateParams", connect.create_account),
    _read("/v1/accounts", "account", "Account"),
    _list("/v1/accounts", "account", "Account"),
    Route("POST /v1/account_links", "AccountLinkCreateParams", connect.create_link),
    Route("POST /v1/transfers", "TransferCreateParams", connect.create_transfer),
    Route("POST /v1/transfers/{id}/reversals", "TransferReversalCreateParams", connect.reverse),
    _read("/v1/transfers", "transfer", "Transfer"),
    _list("/v1/transfers", "transfer", "Transfer"),
    Route("POST /v1/payouts", "PayoutCreateParams", payouts.create, of_accounts=True),
    Route("GET /v1/payouts/{id}", "PayoutRetrieveParams", payouts.retrieve, of_accounts=True),
    Route("GET /v1/payouts", "PayoutListParams", payouts.lister, of_accounts=True),
    Route("GET /v1/balance", "BalanceRetrieveParams", payouts.balance, of_accounts=True),
    _read("/v1/balance_transactions", "balance_transaction", "BalanceTransaction"),
    _list("/v1/balance_transactions", "balance_transaction", "BalanceTransaction"),
    _read("/v1/events", "event", "Event"),
    _list("/v1/events", "event", "Event"),
    Route("POST /v1/webhook_endpoints", "WebhookEndpointCreateParams", endpoints.create),
    Route("POST /v1/webhook_endpoints/{id}", "WebhookEndpointUpdateParams", endpoints.update),
    Route("DELETE /v1/webhook_endpoints/{id}", "WebhookEndpointDeleteParams", endpoints.delete),
    _read("/v1/webhook_endpoints", "webhook_endpoint", "WebhookEndpoint"),
    _list("/v1/webhook_endpoints", "webhook_endpoint", "WebhookEndpoint"),
)
ENDPOINTS = frozenset(route.endpoint for route in ROUTES)
_FIXED = {route.endpoint: route for route in ROUTES if "{id}" not in route.endpoint}


def found(method: str, path: str) -> tuple[Route, str] | None:
    """The row for this request and the id in its path."""
    asked = f"{method} {path}"
    if asked in _FIXED:
        return _FIXED[asked], ""
    for route in ROUTES:
        match = route.pattern.fullmatch(asked)
        if match:
            return route, match["id"]
    return None
