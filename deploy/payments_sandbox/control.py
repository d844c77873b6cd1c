"""The switches under /_sandbox/: time, faults, webhooks, and everything a checker wants to read."""

from typing import Any

from deploy.payments_sandbox import clock, connect, disputes, events, invariants, money, payouts, routes
from deploy.payments_sandbox.errors import ApiError, invalid
from deploy.payments_sandbox.faults import Faults
from deploy.payments_sandbox.state import PREFIXES, Object, Store, public

_FARTHEST = 10 * 365 * 86_400
_SIGNATURES = ("right", "wrong", "old", "future")


def answer(store: Store, faults: Faults, endpoint: str, given: Object) -> tuple[int, Object]:
    """`endpoint` is "POST /_sandbox/clock"."""
    if endpoint == "GET /_sandbox/health":
        return 200, {"status": "ok"}
    if endpoint == "POST /_sandbox/faults":
        if given.get("clear"):
            faults.clear()
        else:
            faults.plan(given, routes.ENDPOINTS)
    if endpoint.endswith(" /_sandbox/faults"):
        return 200, {"faults": faults.planned()}
    with store.transaction():
        return 200, _stored(store, faults, endpoint, given)


def _stored(store: Store, faults: Faults, endpoint: str, given: Object) -> Object:
    clock.strike(store)
    match endpoint:
        case "POST /_sandbox/clock":
            seconds = _number(given, "advance", 0)
            if not 0 <= seconds <= _FARTHEST:
                raise invalid("Time goes forward, ten years at most.", param="advance")
            store.advance(seconds)
            clock.strike(store)
            return {"now": store.now()}
        case "GET /_sandbox/clock":
            return {"now": store.now()}
        case "POST /_sandbox/webhooks":
            _set_webhooks(store, given)
            return _webhooks(store)
        case "GET /_sandbox/webhooks":
            return _webhooks(store)
        case "POST /_sandbox/accounts":
            account = store.get("account", str(given.get("account")), param="account", status=400)
            return public(connect.decide(store, account, enabled=given.get("enabled") in (True, "true", "1")))
        case "POST /_sandbox/payouts":
            payout = store.get("payout", str(given.get("payout")), param="payout", status=400)
            return public(payouts.fail(store, payout, str(given.get("code", "account_closed"))))
        case "POST /_sandbox/disputes" if "dispute" in given:
            dispute = store.get("dispute", str(given["dispute"]), param="dispute", status=400)
            return public(disputes.close(store, dispute, won=given.get("won") in (True, "true", "1")))
        case "POST /_sandbox/disputes":
            charge = store.get("charge", str(given.get("charge")), param="charge", status=400)
            return public(disputes.create(store, charge))
        case "POST /_sandbox/reset":
            store.clear()
            faults.clear()
            if "seed" in given:
                store.reseed(int(_number(given, "seed", 0)))
            return {"status": "empty"}
        case "GET /_sandbox/dump":
            return {
                "now": store.now(),
                "totals": money.totals(store),
                "deliveries": _deliveries(store),
                "faults": faults.planned(),
                "objects": {kind: [public(one) for one in store.all(kind)] for kind in PREFIXES},
            }
        case "GET /_sandbox/invariants":
            return invariants.report(store)
    raise ApiError(404, f"There is no {endpoint}.")


def _set_webhooks(store: Store, given: Object) -> None:
    """Replaces the controls by those given.

    `release` sends what is held, `resend` one event again; `secrets` sign from now on (two while one is replaced).
    """
    if given.get("release"):
        store.db.execute("UPDATE deliveries SET due = ? WHERE state = 'waiting'", (store.now(),))
        return
    if "resend" in given:
        event = store.get("event", str(given["resend"]), param="resend", status=400)
        for endpoint in {row["endpoint"] for row in _deliveries(store) if row["event"] == event["id"]}:
            events.schedule(store, event["id"], endpoint)
        return
    if "secrets" in given:
        endpoints = store.setting("endpoints", [])
        store.set_setting("endpoints", [one | {"secrets": list(given["secrets"])} for one in endpoints])
        return
    unknown = given.keys() - events.AS_STRIPE.keys()
    if unknown:
        raise invalid(f"Unknown: {', '.join(sorted(unknown))}", param=min(unknown))
    if given.get("signature", "right") not in _SIGNATURES:
        raise invalid(f"signature is one of {', '.join(_SIGNATURES)}", param="signature")
    changed: Object = dict(given)
    for name in ("hold", "shuffle"):
        changed[name] = _number(given, name, 0)
    changed["duplicate"] = int(_number(given, "duplicate", 0))
    changed["drop"] = given.get("drop") in (True, "true", "1")
    changed["count"] = None if given.get("count") in (None, "") else int(_number(given, "count", 0))
    store.set_setting("webhooks", events.AS_STRIPE | changed)


def _webhooks(store: Store) -> Object:
    return {"controls": events.AS_STRIPE | store.setting("webhooks", {}), "deliveries": _deliveries(store)}


def _deliveries(store: Store) -> list[Object]:
    names = ("id", "event", "endpoint", "signature", "due", "attempts", "state", "status")
    rows = store.db.execute(f"SELECT {', '.join(names)} FROM deliveries ORDER BY id")  # noqa: S608 - names above
    return [dict(zip(names, row, strict=True)) for row in rows]


def _number(given: Object, name: str, default: float) -> float:
    value: Any = given.get(name, default)
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise invalid(f"{name} is a number", param=name) from error
