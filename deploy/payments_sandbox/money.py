"""Charges and what moves on them. Every movement of money is one balance transaction; nothing else is."""

from deploy.payments_sandbox import cards, events
from deploy.payments_sandbox.errors import invalid
from deploy.payments_sandbox.state import Object, Store, public

DAY = 86_400
AUTHORISED_FOR = 7 * DAY
# Visa gives a payment that the merchant starts five days, of which Stripe keeps some for clearing.
AUTHORISED_FOR_VISA_OFF_SESSION = 4 * DAY + 18 * 3600
SETTLES_AFTER = 2 * DAY
_FROM_INTENT = (
    *("amount", "currency", "customer", "description", "receipt_email", "shipping", "statement_descriptor_suffix"),
    "transfer_group",
)


def moved(store: Store, kind: str, amount: int, source: Object) -> str:
    made = store.new(
        "balance_transaction",
        {
            "amount": amount,
            "available_on": int(store.now()) + (SETTLES_AFTER if kind == "charge" else 0),
            "balance_type": "payments",
            "currency": source["currency"],
            "description": source.get("description"),
            "exchange_rate": None,
            "fee": 0,
            "fee_details": [],
            "net": amount,
            "reporting_category": kind,
            "source": source["id"],
            "status": "pending",
            "type": kind,
        },
    )
    return str(made["id"])


def new_charge(
    store: Store, intent: Object, method: Object, *, off_session: bool, failure: tuple[str, str] | None = None
) -> Object:
    """An attempt on the card: authorised, or failed with (code, decline_code)."""
    card = method["card"]
    window = AUTHORISED_FOR_VISA_OFF_SESSION if off_session and card["brand"] == "visa" else AUTHORISED_FOR
    until = int(store.now()) + window if failure is None and intent["capture_method"] == "manual" else None
    paid = failure is None
    asked = (intent.get("payment_method_options") or {}).get("card", {}).get("request_incremental_authorization")
    growing = {"status": "available" if until and asked == "if_available" else "unavailable"}
    holding = {"capture_before": until, "incremental_authorization": growing}
    authorised = intent["amount"] if paid else None
    outcome = {
        "network_status": "approved_by_network" if paid else "declined_by_network",
        "reason": None if failure is None else failure[1],
        "risk_level": "normal",
        "risk_score": 5,
        "seller_message": "Payment complete." if paid else "The bank did not return any further details.",
        "type": "authorized" if paid else "issuer_declined",
    }
    return store.new(
        "charge",
        {
            **{name: intent[name] for name in _FROM_INTENT},
            "amount_captured": 0,
            "amount_refunded": 0,
            "billing_details": method["billing_details"],
            "captured": False,
            "disputed": False,
            "failure_code": None if failure is None else failure[0],
            "failure_message": None if failure is None else cards.decline_message(*failure),
            "fraud_details": {},
            "metadata": dict(intent["metadata"]),
            "outcome": outcome,
            "paid": paid,
            "payment_intent": intent["id"],
            "payment_method": method["id"],
            "payment_method_details": {
                "type": "card",
                "card": {**card, **holding, "amount_authorized": authorised, "network": card["brand"]},
            },
            "refunded": False,
            "status": "succeeded" if paid else "failed",
        },
    )


def capture(store: Store, charge: Object, amount: int) -> Object:
    """Takes `amount`; the rest of the authorisation is released and counts as refunded, as with Stripe."""
    charge["captured"] = True
    charge["amount_captured"] = amount
    charge["balance_transaction"] = moved(store, "charge", amount, charge)
    if amount < charge["amount"]:
        release(store, charge, charge["amount"] - amount, reason=None)
    return store.save(charge)


def release(store: Store, charge: Object, amount: int, *, reason: str | None) -> Object:
    """Gives back what was held and never taken: a refund without a balance transaction."""
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    store.save(charge)
    return _new_refund(store, charge, amount, reason=reason, metadata={})


def increase(store: Store, charge: Object, amount: int) -> Object:
    """More is held on the same card, on top of what is."""
    details = charge["payment_method_details"]
    card = details["card"] | {"amount_authorized": amount}
    return store.save(charge | {"amount": amount, "payment_method_details": details | {"card": card}})


def refundable(charge: Object) -> int:
    return int(charge["amount"]) - int(charge["amount_refunded"])


def refund(store: Store, charge: Object, amount: int | None, *, reason: str | None, metadata: Object) -> Object:
    left = refundable(charge)
    if left == 0:
        raise invalid(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if amount is None:
        amount = left
    if amount < 1:
        raise invalid("Invalid positive integer", code="parameter_invalid_integer", param="amount")
    if amount > left:
        raise invalid(
            f"Refund amount (${amount / 100:.2f}) is greater than unrefunded amount on charge (${left / 100:.2f})",
            param="amount",
        )
    made = _new_refund(store, charge, amount, reason=reason, metadata=metadata)
    made["balance_transaction"] = moved(store, "refund", -amount, made)
    store.save(made)
    before = charge["amount_refunded"]
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    store.save(charge)
    events.emit(store, "refund.created", made)
    events.emit(store, "charge.refunded", charge, {"amount_refunded": before})
    return made


def _new_refund(store: Store, charge: Object, amount: int, *, reason: str | None, metadata: Object) -> Object:
    return store.new(
        "refund",
        {
            "amount": amount,
            "charge": charge["id"],
            "currency": charge["currency"],
            "destination_details": {"type": "card", "card": {"type": "refund"}},
            "metadata": metadata,
            "payment_intent": charge["payment_intent"],
            "reason": reason,
            "status": "succeeded",
        },
    )


def totals(store: Store) -> dict[str, int]:
    """`released` is what was authorised and given back without ever being taken."""
    moved_back = store.sums("refund", "amount", "json_extract(body, '$.balance_transaction') IS NOT NULL")
    return {
        "captured": sum(store.sums("charge", "amount_captured").values()),
        "refunded": moved_back.get(1, 0),
        "released": moved_back.get(0, 0),
        "held": sum(store.sums("payment_intent", "amount_capturable").values()),
        "disputed": sum(store.sums("dispute", "amount", where="json_extract(body, '$.status') <> 'won'").values()),
        "transferred": sum(store.sums("transfer", "amount").values())
        - sum(store.sums("transfer", "amount_reversed").values()),
        "paid_out": -sum(
            store.sums("balance_transaction", "amount", where="json_extract(body, '$.type') LIKE 'payout%'").values()
        ),
        "balance": sum(store.sums("balance_transaction", "amount").values()),
    }


def missing(totals: dict[str, int]) -> int:
    """Cents by which the balance is not what came less what went; 0, always."""
    gone = ("refunded", "transferred", "disputed", "paid_out")
    return totals["balance"] - totals["captured"] + sum(totals[name] for name in gone)


def settled(store: Store, transaction: Object) -> Object:
    ready = transaction["available_on"] <= store.now()
    return public(transaction) | {"status": "available" if ready else "pending"}


def balance(store: Store) -> Object:
    currency, ready = "json_extract(body, '$.currency')", "json_extract(body, '$.available_on') <= :now"
    available = store.sums("balance_transaction", "net", currency, ready, now=store.now())
    everything = store.sums("balance_transaction", "net", currency) or {"usd": 0}
    columns: dict[str, list[Object]] = {"available": [], "pending": []}
    for name, total in sorted(everything.items()):
        for column, amount in (("available", available.get(name, 0)), ("pending", total - available.get(name, 0))):
            columns[column].append({"amount": amount, "currency": name, "source_types": {"card": amount}})
    return {"object": "balance", "livemode": False, **columns}
