"""Retrieving, listing, expanding: the same for every kind of object."""

from collections.abc import Callable
from typing import Any

from deploy.payments_sandbox import money
from deploy.payments_sandbox.call import Call
from deploy.payments_sandbox.errors import invalid
from deploy.payments_sandbox.state import Object, Store, public

Handler = Callable[[Call], Object]

_PAGING = frozenset({"limit", "starting_after", "ending_before", "created", "types", "expand", "client_secret"})
_EXPANDABLE = frozenset(
    {"balance_transaction", "charge", "customer", "latest_charge"}
    | {"payment_intent", "payment_method", "setup_intent", "source"}
)


def rendered(store: Store, stored: Object) -> Object:
    return money.settled(store, stored) if stored.get("object") == "balance_transaction" else public(stored)


def retriever(kind: str) -> Handler:
    return lambda call: call.subject(kind)


def lister(kind: str, of: str | None = None, matching: Object | None = None) -> Handler:
    """Every parameter that is not about paging compares a field; `of` is the field that the path's id is in."""
    always = matching or {}

    def listed(call: Call) -> Object:
        given = call.params
        limit = given.get("limit", 10)
        if not 1 <= limit <= 100:
            raise invalid("This value must be between 1 and 100.", code="parameter_invalid_integer", param="limit")
        matching: dict[str, Any] = always | {name: value for name, value in given.items() if name not in _PAGING}
        if of is not None:
            matching[of] = call.id
        if "delivery_success" in matching:
            matching["pending_webhooks"] = ("=" if matching.pop("delivery_success") else ">", 0)
        if "*" in str(matching.get("type")):
            matching["type"] = ("GLOB", matching["type"])
        created = given.get("created")
        if isinstance(created, int):
            created = {"is": created}
        found, has_more = call.store.page(
            kind,
            matching.items(),
            limit=limit,
            after=given.get("starting_after"),
            before=given.get("ending_before"),
            types=given.get("types"),
            created=created,
        )
        data = [rendered(call.store, one) for one in found]
        return {"object": "list", "data": data, "has_more": has_more, "url": call.path}

    return listed


def expanded(store: Store, body: Object, paths: list[str]) -> Object:
    for path in paths:
        steps = path.split(".")
        if len(steps) > 4:
            raise invalid("You cannot expand more than 4 levels of a property.", param="expand")
        _expand(store, body, steps, path)
    return body


def _expand(store: Store, node: Any, steps: list[str], path: str) -> None:
    if isinstance(node, list):
        for one in node:
            _expand(store, one, steps, path)
        return
    name, rest = steps[0], steps[1:]
    if name == "refunds" and node.get("object") == "charge" and "refunds" not in node:
        refunds = [public(one) for one in reversed(store.all("refund", charge=node["id"]))]
        url = f"/v1/charges/{node['id']}/refunds"
        node["refunds"] = {"object": "list", "data": refunds, "has_more": False, "url": url}
    value = node.get(name) if isinstance(node, dict) else None
    is_known = (name in _EXPANDABLE and name in node) or isinstance(value, dict | list)
    if not is_known:
        raise invalid(f"This property cannot be expanded ({path}).", param="expand")
    if isinstance(value, str):
        found = store.find(value)
        value = node[name] = value if found is None else rendered(store, found)
    if rest and value is not None:
        _expand(store, value, rest, path)
