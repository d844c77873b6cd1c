"""Where somebody wants to be told: https://docs.stripe.com/api/webhook_endpoints"""

from typing import Any

from deploy.payments_sandbox.call import Call, merged_metadata
from deploy.payments_sandbox.state import Object, given_ones


def create(call: Call) -> Object:
    given, secret = call.params, f"whsec_{call.store.token(32)}"
    fields: dict[str, Any] = {
        "api_version": given.get("api_version"),
        "application": None,
        "description": given.get("description") or None,
        "enabled_events": given["enabled_events"],
        "metadata": merged_metadata({}, given.get("metadata")),
        "status": "enabled",
        "url": given["url"],
        "_secret": secret,
    }
    # As with Stripe, the secret is told once.
    return call.store.new("webhook_endpoint", fields) | {"secret": secret}


def update(call: Call) -> Object:
    endpoint, given = call.subject("webhook_endpoint"), call.params
    endpoint |= given_ones(given, "description", "enabled_events", "url")
    endpoint["metadata"] = merged_metadata(endpoint["metadata"], given.get("metadata"))
    if "disabled" in given:
        endpoint["status"] = "disabled" if given["disabled"] else "enabled"
    return call.store.save(endpoint)


def delete(call: Call) -> Object:
    endpoint = call.subject("webhook_endpoint")
    call.store.delete(endpoint["id"])
    return {"id": endpoint["id"], "object": "webhook_endpoint", "deleted": True}
