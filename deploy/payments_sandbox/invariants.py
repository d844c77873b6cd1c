"""What must be true of all money here at any moment, as sentences about what is not."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from deploy.payments_sandbox import money, payouts
from deploy.payments_sandbox.state import Object, Store


def report(store: Store) -> Object:
    return {"violations": list(_violations(store)), "totals": money.totals(store)}


def _violations(store: Store) -> Iterator[str]:
    totals = money.totals(store)
    if missing := money.missing(totals):
        yield f"the balance is {missing} cents from what came and went: {totals}"
    movements = Counter((one["source"], one["amount"]) for one in store.all("balance_transaction"))
    for source, amount in _moved(store):
        if movements.pop((source, amount), 0) != 1:
            yield f"{source} has not exactly one balance transaction of {amount}"
    for (source, amount), times in movements.items():
        yield f"{times} balance transactions of {amount} for {source} belong to no movement"
    charges = store.all("charge")
    returned, attempts = _grouped(store.all("refund"), "charge"), _grouped(charges, "payment_intent")
    for charge in charges:
        yield from _of_charge(charge, returned[charge["id"]])
    for intent in store.all("payment_intent"):
        yield from _of_intent(intent, attempts[intent["id"]])
    for transfer in store.all("transfer"):
        if not 0 <= transfer["amount_reversed"] <= transfer["amount"]:
            yield f"{transfer['id']} took back {transfer['amount_reversed']} of {transfer['amount']}"
    for account in store.all("account"):
        if (left := payouts.available(store, account["id"])) < 0:
            yield f"{account['id']} was paid {-left} more than it was sent"


def _moved(store: Store) -> Iterator[tuple[str, int]]:
    """Everything that moved our money, by the objects themselves: each of them needs one balance transaction."""
    for charge in store.all("charge"):
        if charge["amount_captured"]:
            yield charge["id"], charge["amount_captured"]
    for refund in store.all("refund"):
        if refund["balance_transaction"]:
            yield refund["id"], -refund["amount"]
    for kind, sign in (("transfer", -1), ("transfer_reversal", 1)):
        yield from ((one["id"], sign * one["amount"]) for one in store.all(kind))
    for kind, undone, matching in (("dispute", "won", {}), ("payout", "failed", {"_account": payouts.PLATFORM})):
        for one in store.all(kind, **matching):
            yield one["id"], -one["amount"]
            if one["status"] == undone:
                yield one["id"], one["amount"]


def _grouped(objects: list[Object], link: str) -> defaultdict[str, list[Object]]:
    groups: defaultdict[str, list[Object]] = defaultdict(list)
    for one in objects:
        groups[one[link]].append(one)
    return groups


def _of_charge(charge: Object, refunds: list[Object]) -> Iterator[str]:
    name, amount, captured = charge["id"], charge["amount"], charge["amount_captured"]
    if not 0 <= captured <= amount:
        yield f"{name} captured {captured} of {amount}"
    if not 0 <= charge["amount_refunded"] <= amount:
        yield f"{name} refunded {charge['amount_refunded']} of {amount}"
    if charge["captured"] != (captured > 0) or (captured and not charge["paid"]):
        yield f"{name} is captured={charge['captured']}, paid={charge['paid']} with {captured} captured"
    if charge["amount_refunded"] != sum(refund["amount"] for refund in refunds):
        yield f"{name} says {charge['amount_refunded']} refunded, its refunds say otherwise"
    returned = sum(refund["amount"] for refund in refunds if refund["balance_transaction"])
    if returned > captured:
        yield f"{name} gave back {returned} of {captured} captured"


def _of_intent(intent: Object, charges: list[Object]) -> Iterator[str]:
    name, status = intent["id"], intent["status"]
    paid = [charge for charge in charges if charge["paid"]]
    captured = sum(charge["amount_captured"] for charge in charges)
    held = sum(charge["amount"] for charge in paid if not charge["captured"] and not charge["refunded"])
    if len(paid) > 1:
        yield f"{name} has {len(paid)} successful charges"
    if intent["amount_received"] != captured:
        yield f"{name} received {intent['amount_received']}, its charges captured {captured}"
    if intent["amount_capturable"] != held:
        yield f"{name} can capture {intent['amount_capturable']}, its charges hold {held}"
    if (status == "succeeded") != (captured > 0) or (status == "requires_capture") != (held > 0):
        yield f"{name} is {status} with {captured} captured and {held} held"
