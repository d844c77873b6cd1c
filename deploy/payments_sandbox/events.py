"""What happened, for those who asked to be told. Sending is in webhooks."""

import fnmatch
import random

from deploy.payments_sandbox.state import Object, Store, public

# What POST /_sandbox/webhooks may set; the values here mean "as Stripe does".
AS_STRIPE: Object = {
    "match": "*",  # which event types the rest is about, as in payment_intent.*
    "count": None,  # how many events it is about; None: all of them
    "duplicate": 0,  # send so many times more
    "shuffle": 0,  # send at a random moment within so many seconds
    "hold": 0,  # send so many seconds later
    "drop": False,  # never send
    "signature": "right",  # right | wrong | old | future
}


def emit(
    store: Store, kind: str, subject: Object, previous: Object | None = None, *, account: str | None = None
) -> None:
    """Records the event with the object as it is now, and a delivery for every endpoint that wants it.

    `account` is the connected account to which it happened.
    """
    wanting = [
        endpoint
        for endpoint in store.setting("endpoints", []) + store.all("webhook_endpoint")
        if {"*", kind} & set(endpoint["enabled_events"]) and endpoint.get("status") != "disabled"
    ]
    event = store.new(
        "event",
        {
            "api_version": store.setting("api_version", None),
            "data": {"object": public(subject)} | ({"previous_attributes": previous} if previous else {}),
            "pending_webhooks": len(wanting),
            "request": store.origin,
            "type": kind,
        }
        | ({} if account is None else {"account": account}),
    )
    control = _control_for(store, kind)
    for endpoint in wanting:
        for _ in range(1 + control["duplicate"]):
            schedule(store, event["id"], endpoint["id"], control)


def schedule(store: Store, event_id: str, endpoint_id: str, control: Object = AS_STRIPE) -> None:
    later = control["hold"] + random.uniform(0, control["shuffle"])  # noqa: S311 - not a secret
    store.db.execute(
        "INSERT INTO deliveries (event, endpoint, signature, due, state) VALUES (?, ?, ?, ?, ?)",
        (event_id, endpoint_id, control["signature"], store.now() + later, "dropped" if control["drop"] else "waiting"),
    )


def _control_for(store: Store, kind: str) -> Object:
    control: Object = AS_STRIPE | store.setting("webhooks", {})
    if control["count"] == 0 or not fnmatch.fnmatchcase(kind, control["match"]):
        return AS_STRIPE
    if control["count"] is not None:
        store.set_setting("webhooks", control | {"count": control["count"] - 1})
    return control
