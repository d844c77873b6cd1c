"""Money on its way to a bank: ours, and each connected account's. https://docs.stripe.com/connect/manage-payout-schedule

A connected account that is paid daily gets, at midnight UTC, one payout of all that it has.
"""

from deploy.payments_sandbox import events, money, reading
from deploy.payments_sandbox.call import Call, merged_metadata
from deploy.payments_sandbox.errors import invalid, no_such
from deploy.payments_sandbox.state import Object, Store, given_ones

PLATFORM = "platform"
ARRIVES_AFTER = 2 * money.DAY
_UNDONE = ("failed", "canceled")
MESSAGES = {
    "account_closed": "The bank account has been closed",
    "could_not_process": "The bank could not process this payout",
    "no_account": "The bank account details on file are probably incorrect",
}


def create(call: Call) -> Object:
    given, owner = call.params, call.account or PLATFORM
    if given["amount"] < 1:
        raise invalid("Invalid positive integer", code="parameter_invalid_integer", param="amount")
    if owner != PLATFORM and not call.store.get("account", owner)["payouts_enabled"]:
        raise invalid("This account cannot currently make payouts.", code="payouts_not_allowed")
    if given["amount"] > available(call.store, owner):
        raise invalid("You have insufficient funds in your Stripe account.", code="balance_insufficient")
    extra = given_ones(given, "description", "statement_descriptor") | {"currency": given["currency"].lower()}
    return _made(call.store, owner, given["amount"], extra | {"metadata": merged_metadata({}, given.get("metadata"))})


def retrieve(call: Call) -> Object:
    found = call.store.get("payout", call.id)
    if found["_account"] != (call.account or PLATFORM):
        raise no_such("payout", call.id)
    return found


def lister(call: Call) -> Object:
    return reading.lister("payout", matching={"_account": call.account or PLATFORM})(call)


def balance(call: Call) -> Object:
    if not call.account:
        return money.balance(call.store)
    amount = {"amount": available(call.store, call.account), "currency": "usd", "source_types": {}}
    return {"object": "balance", "livemode": False, "available": [amount], "pending": [amount | {"amount": 0}]}


def available(store: Store, owner: str) -> int:
    """What the owner could have sent to their bank now, in cents."""
    if owner == PLATFORM:
        return sum(int(one["amount"]) for one in money.balance(store)["available"])
    received = sum(one["amount"] - one["amount_reversed"] for one in store.all("transfer", destination=owner))
    gone = sum(one["amount"] for one in store.all("payout", _account=owner) if one["status"] not in _UNDONE)
    return int(received - gone)


def schedule(store: Store, account: Object) -> None:
    """Money came to the account, or it may be paid again: its next payout is at midnight."""
    if account["settings"]["payouts"]["schedule"]["interval"] == "daily" and account["payouts_enabled"]:
        store.save(account | {"_due": (store.now() // money.DAY + 1) * money.DAY})


def pay_automatically(store: Store, account: Object) -> None:
    midnight = int(account["_due"])
    account = store.save(account | {"_due": None})
    if account["payouts_enabled"] and (amount := available(store, account["id"])) > 0:
        _made(store, account["id"], amount, {"automatic": True, "description": "STRIPE PAYOUT"}, at=midnight)


def arrive(store: Store, payout: Object) -> None:
    _tell("payout.paid", store, store.save(payout | {"status": "paid", "_due": None}))


def fail(store: Store, payout: Object, code: str) -> Object:
    """The bank sends it back, maybe days after it took it. Nothing is paid there until the owner has mended that."""
    if code not in MESSAGES:
        raise invalid(f"code is one of {', '.join(MESSAGES)}", param="code")
    if payout["status"] in _UNDONE:
        raise invalid("This payout has failed already.", param="payout")
    failed = {"status": "failed", "failure_code": code, "failure_message": MESSAGES[code], "_due": None}
    if payout["_account"] == PLATFORM:
        failed["failure_balance_transaction"] = money.moved(store, "payout_failure", payout["amount"], payout)
    else:
        account = store.get("account", payout["_account"])
        requirements = account["requirements"] | {"currently_due": ["external_account"]}
        account |= {"payouts_enabled": False, "requirements": requirements, "_due": None}
        events.emit(store, "account.updated", store.save(account), account=account["id"])
    return _tell("payout.failed", store, store.save(payout | failed))


def _made(store: Store, owner: str, amount: int, extra: Object, *, at: int | None = None) -> Object:
    left = int(store.now()) if at is None else at
    arrives = left + ARRIVES_AFTER
    fields = {
        "_account": owner,
        "_due": arrives,
        "amount": amount,
        "arrival_date": arrives,
        "automatic": False,
        "created": left,
        "currency": "usd",
        "destination": f"ba_{store.token(24)}",
        "metadata": {},
        "method": "standard",
        "reconciliation_status": "not_applicable",
        "source_type": "card",
        "status": "pending",
        "type": "bank_account",
    }
    made = store.new("payout", fields | extra)
    if owner == PLATFORM:
        made["balance_transaction"] = money.moved(store, "payout", -amount, made)
        store.save(made)
    return _tell("payout.created", store, made)


def _tell(kind: str, store: Store, payout: Object) -> Object:
    events.emit(store, kind, payout, account=None if payout["_account"] == PLATFORM else payout["_account"])
    return payout
