"""Those who are paid: connected accounts, transfers to them and transfers taken back. https://docs.stripe.com/connect"""

from deploy.payments_sandbox import events, money, payouts
from deploy.payments_sandbox.call import Call, checked_url, merged_metadata
from deploy.payments_sandbox.errors import invalid
from deploy.payments_sandbox.state import Object, Store, given_ones, public

LINK_LASTS = 300
_DUE = ("external_account", "individual.verification.document", "tos_acceptance.date")


def create_account(call: Call) -> Object:
    given = call.params
    asked = given.get("capabilities", {})
    account = call.store.new(
        "account",
        {
            "type": "standard",
            "country": "US",
            **given_ones(given, "type", "country", "email", "business_type"),
            "capabilities": {name: "inactive" for name, wish in asked.items() if wish.get("requested")},
            "charges_enabled": False,
            "default_currency": "usd",
            "details_submitted": False,
            "metadata": merged_metadata({}, given.get("metadata")),
            "payouts_enabled": False,
            "requirements": _requirements(_DUE, "requirements.past_due"),
            "settings": {"payouts": {"schedule": {"delay_days": 2, "interval": _interval(given)}}},
        },
    )
    events.emit(call.store, "account.updated", account, account=account["id"])
    return account


def create_link(call: Call) -> Object:
    """A page on which the account's owner tells Stripe who they are."""
    given = call.params
    account = call.store.get("account", given["account"], param="account", status=400)
    account["_return_url"] = checked_url(given, "return_url")
    call.store.save(account)
    now = int(call.store.now())
    url = f"{call.base_url}/onboard/{account['id']}"
    return {"object": "account_link", "created": now, "expires_at": now + LINK_LASTS, "url": url}


def decide(store: Store, account: Object, *, enabled: bool) -> Object:
    """Stripe has looked at the account: it may be paid, or may not any more."""
    state = "active" if enabled else "inactive"
    account |= {
        "capabilities": dict.fromkeys(account["capabilities"], state),
        "charges_enabled": enabled,
        "details_submitted": account["details_submitted"] or enabled,
        "payouts_enabled": enabled,
        "requirements": _requirements((), None) if enabled else _requirements(_DUE[1:2], "requirements.past_due"),
    }
    events.emit(store, "account.updated", store.save(account), account=account["id"])
    if enabled and payouts.available(store, account["id"]) > 0:
        payouts.schedule(store, account)
    return account


def create_transfer(call: Call) -> Object:
    given, store = call.params, call.store
    account = store.get("account", given["destination"], param="destination", status=400)
    amount = given.get("amount", 0)
    if amount < 1:
        raise invalid("Invalid positive integer", code="parameter_invalid_integer", param="amount")
    if account["capabilities"].get("transfers") != "active":
        raise invalid(
            "Your destination account needs to have at least one of the following capabilities enabled: transfers",
            code="insufficient_capabilities_for_transfer",
        )
    currency = str(given["currency"]).lower()
    available = next((one["amount"] for one in money.balance(store)["available"] if one["currency"] == currency), 0)
    if amount > available:
        raise invalid("You have insufficient available funds in your Stripe account.", code="balance_insufficient")
    made = store.new(
        "transfer",
        {
            **given_ones(given, "description", "transfer_group", "source_transaction", "source_type"),
            "amount": amount,
            "amount_reversed": 0,
            "currency": currency,
            "destination": account["id"],
            "metadata": merged_metadata({}, given.get("metadata")),
            "reversals": {"object": "list", "data": [], "has_more": False, "url": ""},
            "reversed": False,
        },
    )
    made["reversals"]["url"] = f"/v1/transfers/{made['id']}/reversals"
    made["balance_transaction"] = money.moved(store, "transfer", -amount, made)
    events.emit(store, "transfer.created", store.save(made))
    payouts.schedule(store, account)
    return made


def reverse(call: Call) -> Object:
    """Takes money back from the account it was sent to."""
    store, transfer = call.store, call.store.get("transfer", call.id)
    left = transfer["amount"] - transfer["amount_reversed"]
    amount = call.params.get("amount", left)
    if not 1 <= amount <= left:
        raise invalid(f"Reversal amount ({amount}) is greater than what is left ({left}).", param="amount")
    made = store.new(
        "transfer_reversal",
        {
            "amount": amount,
            "currency": transfer["currency"],
            "destination_payment_refund": None,
            "metadata": merged_metadata({}, call.params.get("metadata")),
            "source_refund": None,
            "transfer": transfer["id"],
        },
    )
    made["balance_transaction"] = money.moved(store, "transfer_refund", amount, made)
    store.save(made)
    transfer["amount_reversed"] += amount
    transfer["reversed"] = transfer["amount_reversed"] == transfer["amount"]
    transfer["reversals"]["data"].insert(0, public(made))
    events.emit(store, "transfer.reversed", store.save(transfer))
    return made


def _interval(given: Object) -> str:
    asked = given.get("settings", {}).get("payouts", {}).get("schedule", {}).get("interval", "daily")
    if asked not in ("daily", "manual"):
        raise invalid("Here accounts are paid daily or manually.", param="settings[payouts][schedule][interval]")
    return str(asked)


def _requirements(due: tuple[str, ...], reason: str | None) -> Object:
    return {
        "alternatives": [],
        "current_deadline": None,
        "currently_due": list(due),
        "disabled_reason": reason,
        "errors": [],
        "eventually_due": list(due),
        "past_due": list(due),
        "pending_verification": [],
    }
