"""Planned failures of the stand-in itself: which request, how, how often."""

import threading
from dataclasses import asdict, dataclass
from typing import Any

from deploy.payments_sandbox.errors import ApiError, invalid

KINDS = {
    "refuse": "reset the connection at once, as when nobody listens",
    "429": "too many requests; nothing is done",
    "500_before": "fail before any work; nothing is kept",
    "503_before": "unavailable; nothing is done",
    "500_after": "do the work, answer 500 and keep that answer for the key",
    "503_after": "do the work, keep the right answer for the key, answer 503",
    "drop_before": "close the connection without an answer; nothing is done",
    "drop_after": "do the work, keep the answer, close the connection",
    "half_answer": "do the work, send half of the answer, close the connection",
    "slow": "wait `seconds` before the work",
    "slow_after": "do the work, wait `seconds` before the answer",
}
CUTS = frozenset({"refuse", "drop_before", "drop_after", "half_answer"})


@dataclass
class Fault:
    """`endpoint` is a row of the routes ("POST /v1/payment_intents/{id}/capture") or *; None in `count`: always."""

    endpoint: str
    kind: str
    count: int | None = 1
    seconds: float = 0.0
    skip: int = 0
    hits: int = 0


class Faults:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._planned: list[Fault] = []

    def plan(self, given: dict[str, Any], endpoints: frozenset[str]) -> None:
        try:
            count = given.get("count", 1)
            fault = Fault(
                endpoint=str(given.get("endpoint", "*")),
                kind=str(given["kind"]),
                count=None if count is None else int(count),
                seconds=float(given.get("seconds", 0)),
                skip=int(given.get("skip", 0)),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise invalid(f"Not a fault: {error}") from error
        if fault.kind not in KINDS:
            raise invalid(f"Unknown kind; one of {', '.join(KINDS)}", param="kind")
        if fault.endpoint != "*" and fault.endpoint not in endpoints:
            raise invalid(f"Unknown endpoint: {fault.endpoint}", param="endpoint")
        with self._lock:
            self._planned.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._planned.clear()

    def planned(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(fault) for fault in self._planned]

    def next_for(self, endpoint: str) -> Fault | None:
        """The first fault for this request, counted down."""
        with self._lock:
            for fault in self._planned:
                if fault.endpoint in ("*", endpoint) and fault.count != 0:
                    if fault.skip:
                        fault.skip -= 1
                        continue
                    fault.hits += 1
                    fault.count = None if fault.count is None else fault.count - 1
                    return fault
        return None


def failure(kind: str) -> ApiError:
    if kind == "429":
        return ApiError(429, "Request rate limit exceeded.", code="rate_limit", kind="invalid_request_error")
    message = "An unknown error occurred." if kind.startswith("500") else "Stripe is temporarily unavailable."
    return ApiError(int(kind[:3]), message, kind="api_error")
