"""What must be true of all money here at any moment, as sentences about what is not."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from deploy.payments_sandbox import money, payouts
from deploy.payments_sandbox.state import Object, Store


def report(store: Store) -> Object:
    return {"violations": list(_violations(store)), "totals": money.totals(store)}


def _violations(store: Store) -> Iterator[str]:
    totals = money.totals(store)
    gone = ("refunded", "transferred", "disputed", "paid_out")
    if totals["balance"] != totals["captured"] - sum(totals[name] for name in gone):
        yield (
            f"balance {totals['balance']} is not captured {totals['captured']}"
            + "".join(f" - {name} {totals[name]}" for name in gone)
        )
    refunds = store.all("refund")
    returned = _grouped(refunds, "charge")
    movements = Counter((one["source"], one["amount"]) for one in store.all("balance_transaction"))
    charges = store.all("charge")
    for charge in charges:
        yield from _of_charge(charge, returned[charge["id"]])
        if charge["amount_captured"] and movements.pop((charge["id"], charge["amount_captured"]), 0) != 1:
            yield f"{charge['id']} was captured without exactly one balance transaction of its amount"
    for refund in refunds:
        if refund["balance_transaction"] and movements.pop((refund["id"], -refund["amount"]), 0) != 1:
            yield f"{refund['id']} has not exactly one balance transaction of its amount"
    for kind, sign in (("transfer", -1), ("transfer_reversal", 1)):
        for one in store.all(kind):
            if movements.pop((one["id"], sign * one["amount"]), 0) != 1:
                yield f"{one['id']} has not exactly one balance transaction of its amount"
    for transfer in store.all("transfer"):
        if not 0 <= transfer["amount_reversed"] <= transfer["amount"]:
            yield f"{transfer['id']} took back {transfer['amount_reversed']} of {transfer['amount']}"
    for dispute in store.all("dispute"):
        for sign in (-1, 1) if dispute["status"] == "won" else (-1,):
            if movements.pop((dispute["id"], sign * dispute["amount"]), 0) != 1:
                yield f"{dispute['id']} has not exactly one balance transaction of {sign * dispute['amount']}"
    for payout in store.all("payout", _account=payouts.PLATFORM):
        for sign in (-1, 1) if payout["status"] == "failed" else (-1,):
            if movements.pop((payout["id"], sign * payout["amount"]), 0) != 1:
                yield f"{payout['id']} has not exactly one balance transaction of {sign * payout['amount']}"
    for account in store.all("account"):
        if (left := payouts.available(store, account["id"])) < 0:
            yield f"{account['id']} was paid {-left} more than it was sent"
    for (source, amount), times in movements.items():
        yield f"{times} balance transactions of {amount} for {source} belong to no movement"
    attempts = _grouped(charges, "payment_intent")
    for intent in store.all("payment_intent"):
        yield from _of_intent(intent, attempts[intent["id"]])


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
