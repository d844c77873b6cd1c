"""What happens because time passes."""

from deploy.payments_sandbox import intents, setups
from deploy.payments_sandbox.state import Store


def strike(store: Store) -> None:
    """Lets expire what is due by the virtual clock: authorisations, checkout sessions. Nobody asked for that."""
    store.origin = {"id": None, "idempotency_key": None}
    for overdue in store.due():
        if overdue["object"] == "payment_intent":
            intents.close(store, overdue, reason="automatic", expired=True)
        else:
            setups.expire_session(store, overdue)
