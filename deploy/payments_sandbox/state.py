"""What the stand-in remembers: every object as one JSON row in a SQLite file, behind one lock.

A request is one transaction. Without fsync SQLite still loses nothing when the process is killed, which is the
failure that is tested here.
"""

import functools
import json
import os
import random
import sqlite3
import string
import threading
import time
import typing
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import NoneType
from typing import Any

import stripe

from deploy.payments_sandbox.errors import invalid, no_such

Object = dict[str, Any]

PREFIXES = {
    "customer": "cus_",
    "payment_method": "pm_",
    "payment_intent": "pi_",
    "setup_intent": "seti_",
    "checkout.session": "cs_test_",
    "charge": "ch_",
    "refund": "re_",
    "balance_transaction": "txn_",
    "event": "evt_",
    "webhook_endpoint": "we_",
    "dispute": "du_",
    "account": "acct_",
    "transfer": "tr_",
    "transfer_reversal": "trr_",
    "payout": "po_",
}
_ALPHABET = string.ascii_letters + string.digits
_LINKS = ("customer", "payment_intent", "charge", "source")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, due REAL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS objects_kind ON objects (kind, seq);
CREATE INDEX IF NOT EXISTS objects_due ON objects (due) WHERE due IS NOT NULL;
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, endpoint TEXT NOT NULL, request TEXT NOT NULL, at REAL NOT NULL,
    status INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, endpoint TEXT NOT NULL, signature TEXT NOT NULL,
    due REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL, status INTEGER);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (due) WHERE state = 'waiting';
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
# Objects in which Stripe shows every field, null when there is nothing to say; read from the SDK's classes.
_SHOWN_IN_FULL = {
    "payment_intent": stripe.PaymentIntent,
    "setup_intent": stripe.SetupIntent,
    "checkout.session": stripe.checkout.Session,
    "charge": stripe.Charge,
    "refund": stripe.Refund,
    "transfer": stripe.Transfer,
    "payout": stripe.Payout,
}
_WITHOUT_LIVEMODE = {"balance_transaction", "refund", "account", "transfer_reversal"}
_ONLY_WHEN_EXPANDED = {"refunds", "line_items", "level3"}


@functools.cache
def blanks(kind: str) -> Object:
    annotations = _SHOWN_IN_FULL[kind].__annotations__ if kind in _SHOWN_IN_FULL else {}
    names = (name for name, annotation in annotations.items() if NoneType in typing.get_args(annotation))
    return {name: None for name in names if name not in _ONLY_WHEN_EXPANDED}


def given_ones(given: Object, *names: str) -> Object:
    return {name: given[name] for name in names if name in given}


class Store:
    """All methods are for use inside `transaction()`."""

    def __init__(self, path: str, *, seed: int | None = None) -> None:
        self.lock = threading.RLock()
        self.db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = OFF")
        self.db.executescript(_SCHEMA)
        for link in _LINKS:
            self.db.execute(
                f"CREATE INDEX IF NOT EXISTS objects_{link} ON objects (json_extract(body, '$.{link}'), kind)"
                f" WHERE json_extract(body, '$.{link}') IS NOT NULL"
            )
        # What was being sent when the process ended may not have arrived.
        self.db.execute("UPDATE deliveries SET state = 'waiting' WHERE state = 'sending'")
        self._offset = float(self.setting("clock_offset", 0))
        self._random = random.Random(os.urandom(16) if seed is None else seed)  # noqa: S311 - names, not secrets
        self.origin: Object = {"id": None, "idempotency_key": None}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self.lock:
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self.db.execute("ROLLBACK")
                raise
            self.db.execute("COMMIT")

    # Time

    def now(self) -> float:
        """The virtual clock, in seconds since 1970."""
        return time.time() + self._offset

    def advance(self, seconds: float) -> None:
        self._offset += seconds
        self.set_setting("clock_offset", self._offset)

    # Settings

    def setting(self, name: str, default: Any) -> Any:
        row = self.db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return default if row is None else json.loads(row[0])

    def set_setting(self, name: str, value: Any) -> None:
        self.db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, json.dumps(value)))

    # Objects

    def token(self, length: int = 24) -> str:
        return "".join(self._random.choices(_ALPHABET, k=length))

    def new(self, kind: str, fields: Object) -> Object:
        created = int(self.now())
        made = {"id": PREFIXES[kind] + self.token(), "object": kind, "created": created}
        made |= ({} if kind in _WITHOUT_LIVEMODE else {"livemode": False}) | blanks(kind) | fields
        self.db.execute(
            "INSERT INTO objects (id, kind, due, body) VALUES (?, ?, ?, ?)",
            (made["id"], kind, made.get("_due"), json.dumps(made)),
        )
        return made

    def save(self, changed: Object) -> Object:
        """A field `_due` says when the clock has something to do with it (see clock)."""
        self.db.execute(
            "UPDATE objects SET body = ?, due = ? WHERE id = ?",
            (json.dumps(changed), changed.get("_due"), changed["id"]),
        )
        return changed

    def find(self, object_id: str) -> Object | None:
        row = self.db.execute("SELECT body FROM objects WHERE id = ?", (object_id,)).fetchone()
        return None if row is None else json.loads(row[0])

    def get(self, kind: str, object_id: str, *, param: str = "id", status: int = 404) -> Object:
        found = self.find(object_id)
        if found is None or found["object"] != kind:
            raise no_such(kind, object_id, param=param, status=status)
        return found

    def all(self, kind: str, **matching: Any) -> list[Object]:
        """Oldest first; `matching` compares top-level fields, with a value or a pair of operator and value."""
        return [json.loads(row[0]) for row in self._select("body", kind, matching.items(), "ORDER BY seq")]

    def page(
        self,
        kind: str,
        matching: Iterable[tuple[str, Any]],
        *,
        limit: int,
        after: str | None = None,
        before: str | None = None,
        types: list[str] | None = None,
        created: Object | None = None,
    ) -> tuple[list[Object], bool]:
        """Newest first, and whether there are more."""
        where, values = "", []
        older, newer = (f"AND seq {sign} (SELECT seq FROM objects WHERE id = ?)" for sign in "<>")  # noqa: S608
        for cursor, side, param in ((after, older, "starting_after"), (before, newer, "ending_before")):
            if cursor is not None:
                self.get(kind, cursor, param=param, status=400)
                where += side
                values.append(cursor)
        if types:
            where += f" AND json_extract(body, '$.type') IN ({', '.join('?' * len(types))})"
            values += types
        for name, value in (created or {}).items():
            sign = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "is": "="}[name]
            where += f" AND json_extract(body, '$.created') {sign} ?"
            values.append(value)
        direction = "DESC" if before is None else "ASC"
        rows = self._select("body", kind, matching, f"{where} ORDER BY seq {direction} LIMIT ?", [*values, limit + 1])
        found = [json.loads(row[0]) for row in rows]
        page = found[:limit]
        return page if before is None else page[::-1], len(found) > limit

    def _select(
        self, columns: str, kind: str, matching: Iterable[tuple[str, Any]], rest: str, values: Iterable[Any] = ()
    ) -> list[tuple[Any, ...]]:
        where, matched = "kind = ?", [kind]
        for name, value in matching:
            if not name.replace("_", "").isalnum():
                raise invalid(f"Invalid filter: {name}")
            # Said twice so that SQLite sees that the partial index of this link covers the question.
            sign, value = value if isinstance(value, tuple) else ("=", value)
            where += f" AND json_extract(body, '$.{name}') {sign} ? AND json_extract(body, '$.{name}') IS NOT NULL"
            matched.append(value)
        return self.db.execute(
            f"SELECT {columns} FROM objects WHERE {where} {rest}",  # noqa: S608 - names checked above
            [*matched, *values],
        ).fetchall()

    def sums(self, kind: str, column: str, groups: str = "''", where: str = "1", **values: Any) -> dict[Any, int]:
        """Totals in SQL, for when there are too many rows to look at: `column` by `groups`, both paths in the body."""
        rows = self.db.execute(
            f"SELECT {groups}, COALESCE(SUM(json_extract(body, '$.{column}')), 0) FROM objects"  # noqa: S608 - ours
            f" WHERE kind = :kind AND {where} GROUP BY 1",
            {"kind": kind, **values},
        )
        return dict(rows.fetchall())

    def delete(self, object_id: str) -> None:
        self.db.execute("DELETE FROM objects WHERE id = ?", (object_id,))

    def due(self) -> list[Object]:
        rows = self.db.execute("SELECT body FROM objects WHERE due <= ? ORDER BY due, seq", (self.now(),)).fetchall()
        return [json.loads(row[0]) for row in rows]

    def clear(self) -> None:
        for table in ("objects", "answers", "deliveries", "sqlite_sequence"):
            self.db.execute(f"DELETE FROM {table}")  # noqa: S608 - names above
        self._offset = 0.0
        self.db.execute("DELETE FROM settings WHERE name NOT IN ('endpoints', 'api_version')")

    def reseed(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - names, not secrets


def public(stored: Object) -> Object:
    """Without what only the stand-in may know."""
    return {name: value for name, value in stored.items() if not name.startswith("_")}
