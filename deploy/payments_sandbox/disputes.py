"""Customers who tell their bank that they did not mean to pay. https://docs.stripe.com/disputes/how-disputes-work"""

from deploy.payments_sandbox import events, money
from deploy.payments_sandbox.errors import invalid
from deploy.payments_sandbox.state import Object, Store

ANSWER_WITHIN = 7 * 86_400


def create(store: Store, charge: Object, *, reason: str = "fraudulent") -> Object:
    """The bank takes the whole charge back, until it is decided."""
    if not charge["captured"] or charge["disputed"]:
        raise invalid("This charge was not taken, or is disputed already.", param="charge")
    amount = charge["amount_captured"]
    made = store.new(
        "dispute",
        {
            "amount": amount,
            "balance_transactions": [],
            "charge": charge["id"],
            "currency": charge["currency"],
            "enhanced_eligibility_types": [],
            "evidence": {},
            "evidence_details": {
                "due_by": int(store.now()) + ANSWER_WITHIN,
                "enhanced_eligibility": {},
                "has_evidence": False,
                "past_due": False,
                "submission_count": 0,
            },
            "is_charge_refundable": False,
            "metadata": {},
            "payment_intent": charge["payment_intent"],
            "reason": reason,
            "status": "needs_response",
        },
    )
    money.moved(store, "adjustment", -amount, made)
    store.save(charge | {"disputed": True})
    events.emit(store, "charge.dispute.created", made)
    events.emit(store, "charge.dispute.funds_withdrawn", made)
    return made


def close(store: Store, dispute: Object, *, won: bool) -> Object:
    """The bank has decided: won, the money comes back."""
    if dispute["status"] in ("won", "lost"):
        raise invalid("This dispute is closed.", param="dispute")
    dispute["status"] = "won" if won else "lost"
    store.save(dispute)
    if won:
        money.moved(store, "adjustment", dispute["amount"], dispute)
        events.emit(store, "charge.dispute.funds_reinstated", dispute)
    events.emit(store, "charge.dispute.closed", dispute)
    return dispute
