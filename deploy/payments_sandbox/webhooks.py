"""Telling the endpoints what happened: signed as Stripe signs, again and again until they answer 2xx."""

import hashlib
import hmac
import json
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx

from deploy.payments_sandbox import clock
from deploy.payments_sandbox.state import Object, Store

logger = logging.getLogger(__name__)

ATTEMPTS = 20
_SENDERS = 4
_TICK_SECONDS = 0.5


def signature(payload: str, secrets: list[str], kind: str = "right") -> str:
    """The Stripe-Signature header by the real clock; several secrets while one is being replaced."""
    at = int(time.time()) + {"old": -3600, "future": 3600}.get(kind, 0)
    keys = ["whsec_of_somebody_else"] if kind == "wrong" else secrets
    signed = f"{at}.{payload}".encode()
    marks = [hmac.new(key.encode(), signed, hashlib.sha256).hexdigest() for key in keys]
    return ",".join([f"t={at}", *(f"v1={mark}" for mark in marks)])


def wait_before(attempt: int) -> float:
    """Seconds until the next try: 1, 2, 4 … 60. Stripe waits for hours; the virtual clock can skip these too."""
    return float(min(2 ** (attempt - 1), 60))


class Sender:
    """A thread that finds deliveries that are due, and a few that send them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._wake = threading.Event()
        self._stopping = False
        self._client = httpx.Client(timeout=10.0, trust_env=False)
        self._pool = ThreadPoolExecutor(_SENDERS, thread_name_prefix="webhook")
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        self._wake.set()

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()
        self._thread.join()
        self._pool.shutdown()
        self._client.close()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(_TICK_SECONDS)
            self._wake.clear()
            try:
                for delivery in self._taken():
                    self._pool.submit(self._send, *delivery)
            except Exception:
                logger.exception("The webhook thread failed once")

    def _taken(self) -> list[tuple[int, str, str, str, int]]:
        with self._store.transaction():
            clock.strike(self._store)
            return self._store.db.execute(
                "UPDATE deliveries SET state = 'sending', attempts = attempts + 1"
                " WHERE state = 'waiting' AND due <= ? RETURNING id, event, endpoint, signature, attempts",
                (self._store.now(),),
            ).fetchall()

    def _send(self, delivery: int, event_id: str, endpoint_id: str, kind: str, attempt: int) -> None:
        with self._store.transaction():
            event, endpoint = self._store.find(event_id), _endpoint(self._store, endpoint_id)
        status = None
        if event is not None and endpoint is not None:
            status = self._post(event, endpoint, kind)
        done = status is not None and 200 <= status < 300
        with self._store.transaction():
            state = "delivered" if done else "waiting" if attempt < ATTEMPTS else "given up"
            self._store.db.execute(
                "UPDATE deliveries SET state = ?, status = ?, due = ? WHERE id = ?",
                (state, status, self._store.now() + wait_before(attempt), delivery),
            )
            if done and event is not None:
                event = self._store.find(event_id) or event
                self._store.save(event | {"pending_webhooks": max(0, event["pending_webhooks"] - 1)})

    def _post(self, event: Object, endpoint: Object, kind: str) -> int | None:
        payload = json.dumps(event)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature(payload, endpoint["secrets"], kind),
            "User-Agent": "Stripe/1.0 (payments sandbox)",
        }
        try:
            return self._client.post(endpoint["url"], content=payload, headers=headers).status_code
        except httpx.HTTPError as error:
            logger.info("Webhook to %s failed: %s", endpoint["url"], error)
            return None


def _endpoint(store: Store, endpoint_id: str) -> Object | None:
    for endpoint in store.setting("endpoints", []):
        if endpoint["id"] == endpoint_id:
            return dict(endpoint)
    made = store.find(endpoint_id)
    return None if made is None else made | {"secrets": [made["_secret"]]}
