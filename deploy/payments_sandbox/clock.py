"""What happens because time passes."""

from deploy.payments_sandbox import intents, payouts, setups
from deploy.payments_sandbox.state import Store


def strike(store: Store) -> None:
    """What is due by the virtual clock: holds and sessions expire, payouts leave and arrive. Nobody asked for that."""
    store.origin = {"id": None, "idempotency_key": None}
    while overdue := store.due():  # a payout that left may have arrived meanwhile
        for one in overdue:
            match one["object"]:
                case "payment_intent":
                    intents.close(store, one, reason="automatic", expired=True)
                case "account":
                    payouts.pay_automatically(store, one)
                case "payout":
                    payouts.arrive(store, one)
                case _:
                    setups.expire_session(store, one)
