"""Customers and their saved cards."""

import hashlib

from deploy.payments_sandbox import cards, events
from deploy.payments_sandbox.call import Call, merged_metadata
from deploy.payments_sandbox.cards import Card
from deploy.payments_sandbox.errors import invalid, missing
from deploy.payments_sandbox.state import Object, Store

_CUSTOMER_FIELDS = ("address", "description", "email", "name", "phone", "preferred_locales", "shipping", "tax_exempt")
_NO_ADDRESS = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))


def create_customer(call: Call) -> Object:
    given = call.params
    made = call.store.new(
        "customer",
        {
            "balance": 0,
            "currency": None,
            "default_source": None,
            "delinquent": False,
            "discount": None,
            "invoice_prefix": call.store.token(8).upper(),
            "invoice_settings": {"custom_fields": None, "default_payment_method": None, "footer": None}
            | given.get("invoice_settings", {}),
            "metadata": merged_metadata({}, given.get("metadata")),
            "next_invoice_sequence": 1,
            "test_clock": None,
            **{name: given.get(name) or None for name in _CUSTOMER_FIELDS},
        },
    )
    if "payment_method" in given:
        attach(call.store, resolved(call.store, given["payment_method"]), made["id"])
    events.emit(call.store, "customer.created", made)
    return made


def update_customer(call: Call) -> Object:
    customer = call.subject("customer")
    customer |= {name: call.params[name] or None for name in _CUSTOMER_FIELDS if name in call.params}
    customer["metadata"] = merged_metadata(customer["metadata"], call.params.get("metadata"))
    customer["invoice_settings"] |= call.params.get("invoice_settings", {})
    events.emit(call.store, "customer.updated", call.store.save(customer))
    return customer


def create_method(call: Call) -> Object:
    given = call.params
    if given.get("type") is None:
        raise missing("type")
    return entered(call.store, given)


def entered(store: Store, given: Object) -> Object:
    """A new payment method from `type` and `card`, as an app or a payment page sends them."""
    if given.get("type") != "card":
        raise invalid("Only cards are known here.", param="type")
    if "card" not in given:
        raise missing("card")
    details = given["card"]
    year = int(details.get("exp_year", 0))
    card = cards.entered(details, now=store.now())
    return build(store, card, details | {"exp_year": year + 2000 if year < 100 else year}, given)


def build(store: Store, card: Card, details: Object, given: Object) -> Object:
    billing = {"address": _NO_ADDRESS, "email": None, "name": None, "phone": None, "tax_id": None}
    billing |= given.get("billing_details", {})
    return store.new(
        "payment_method",
        {
            "allow_redisplay": given.get("allow_redisplay", "unspecified"),
            "billing_details": billing,
            "card": {
                "brand": card.brand,
                "checks": {
                    "address_line1_check": None,
                    "address_postal_code_check": None,
                    "cvc_check": "unchecked" if details.get("cvc") else None,
                },
                "country": "US",
                "display_brand": card.brand,
                "exp_month": int(details["exp_month"]),
                "exp_year": int(details["exp_year"]),
                "fingerprint": hashlib.sha256(card.alias.encode()).hexdigest()[:16],
                "funding": "debit" if "debit" in card.alias else "credit",
                "generated_from": None,
                "last4": card.last4,
                "networks": {"available": [card.brand], "preferred": None},
                "regulated_status": "unregulated",
                "three_d_secure_usage": {"supported": True},
                "wallet": None,
            },
            "customer": None,
            "metadata": merged_metadata({}, given.get("metadata")),
            "type": "card",
            "_card": card.alias,
            "_is_set_up": False,
            "_is_spent": False,
        },
    )


def resolved(store: Store, method_id: str) -> Object:
    """The payment method of that id; `pm_card_visa` and its like make a new one each time."""
    card = cards.by_test_id(method_id)
    if card is None:
        return store.get("payment_method", method_id, param="payment_method", status=400)
    return build(store, card, {"exp_month": 12, "exp_year": 2040}, {})


def usable(store: Store, method_id: str, customer: str | None) -> Object:
    method = resolved(store, method_id)
    if method["customer"] is not None and method["customer"] != customer:
        raise invalid(
            f"The payment method {method['id']} belongs to a customer. Please include that customer in the request.",
            param="payment_method",
        )
    if method["customer"] is None and method["_is_spent"]:
        raise invalid(
            "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, shared "
            "with a connected account without Customer attachment, or was detached from a Customer. It may not be "
            "used again. To use a PaymentMethod multiple times, you must attach it to a Customer first.",
            param="payment_method",
        )
    return method


def attach_method(call: Call) -> Object:
    customer = call.linked("customer", "customer")
    if customer is None:
        raise missing("customer")
    return attach(call.store, resolved(call.store, call.id), customer)


def attach(store: Store, method: Object, customer: str) -> Object:
    if method["customer"] == customer:
        return method
    if method["customer"] is not None:
        raise invalid("The payment method you provided has already been attached to a customer.")
    if method["_is_spent"]:
        usable(store, method["id"], customer)
    card = cards.BY_ALIAS[method["_card"]]
    if card.declines is not None and not card.saves:
        raise cards.declined(*card.declines)
    method["customer"] = customer
    method["card"]["checks"]["cvc_check"] = "pass"
    events.emit(store, "payment_method.attached", store.save(method))
    return method


def detach_method(call: Call) -> Object:
    method = call.subject("payment_method")
    if method["customer"] is None:
        raise invalid(
            "The payment method you provided is not attached to a customer so detachment is impossible.",
            param="payment_method",
        )
    before = {"customer": method["customer"]}
    method |= {"customer": None, "_is_spent": True}
    events.emit(call.store, "payment_method.detached", call.store.save(method), before)
    return method
