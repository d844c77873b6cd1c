"""Statements to many databases at once, from one thread: all are sent, then all are waited for together.

Uses Django's own connections of the calling thread, opened where they are not, and leaves each of them fit for the next
query or closed. ``execute_wrappers`` and query logs see every statement, at the moment it is sent.
"""

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from typing import Any, NamedTuple

from django.db import InterfaceError, OperationalError, connections
from django.db.utils import Error
from psycopg import OperationalError as ConnectionRefused
from psycopg import capabilities, pq

from sharding import breakers, deadlines, errors, metrics
from sharding.errors import BucketMoved, DeadlineExceeded, ShardUnavailable, first_line

logger = logging.getLogger("django.db.backends")

FOR_CANCELLING = 0.1
"""This part of the time is kept for asking servers to stop: one that does keeps its connection, and stops working."""
TELLING_SECONDS = 0.2
"""An end to a shorter wait says nothing about the server."""

Row = tuple[Any, ...]


class Statement(NamedTuple):
    sql: str
    params: Sequence[Any] = ()


class Answer(NamedTuple):
    rows: list[Row]
    types: tuple[int, ...]
    """PostgreSQL's type of each column, by its OID."""


@dataclass(slots=True)
class Answers:
    """What came, in the order of the question, and why the rest did not."""

    by_alias: dict[str, Answer] = field(default_factory=dict)
    failed: dict[str, Error] = field(default_factory=dict)


def ask(wanted: Mapping[str, Statement], seconds: float | None, *, is_continuation: bool = False) -> Answers:
    """Run one statement on each database and wait for all, for ``seconds`` at most.

    A database that is away, refuses connections or does not answer in time is among ``failed``, its connection closed
    unless the server itself stopped the statement. What a server says against the statement is raised, once the others
    have answered. A connection that proves to have been lost before is opened once more: the statement must be one that
    may be repeated. ``is_continuation`` keeps FETCH and CLOSE out of wrappers and logs, as Django does.
    """
    if seconds is None:
        seconds = deadlines.left(None)
    if seconds is None:
        return _Round(wanted, None, is_continuation).run()
    if seconds <= 0:
        return Answers(
            failed={alias: DeadlineExceeded(alias, "the time was up before it was asked") for alias in wanted}
        )
    with deadlines.deadline(seconds):  # also for what is asked on the way, such as a new connection's time zone
        return _Round(wanted, seconds, is_continuation).run()


class _Call:
    """One statement on its way through one connection."""

    __slots__ = (
        "alias", "began", "connection", "cursor", "is_cancelled", "may_reopen", "socket", "statement", "talk", "waits",
    )  # fmt: skip

    def __init__(self, alias: str, statement: Statement, *, may_reopen: bool) -> None:
        self.alias = alias
        self.statement = statement
        self.connection: Any = connections[alias]
        self.may_reopen = may_reopen and self.connection.connection is not None and not self.connection.in_atomic_block
        self.is_cancelled = False
        self.cursor: Any = None
        self.talk: Any = None
        """psycopg's conversation with the server: told what the socket is ready for, it says what it waits for."""
        self.waits = 0
        self.socket = -1
        """Kept, as a connection that is lost does not tell any more."""
        self.began = 0.0


class _Round:
    def __init__(self, wanted: Mapping[str, Statement], seconds: float | None, is_continuation: bool) -> None:
        now = time.monotonic()
        self.seconds = seconds
        self.ends = None if seconds is None else now + seconds
        self.cancels = None if seconds is None else now + seconds * (1 - FOR_CANCELLING)
        self.is_continuation = is_continuation
        self.calls = [_Call(alias, statement, may_reopen=not is_continuation) for alias, statement in wanted.items()]
        self.live: dict[str, _Call] = {}
        self.answers = Answers()
        self.refused: Exception | None = None
        self.selector = selectors.DefaultSelector()
        self.openings: _Openings | None = None
        self.cancelling: list[Any] = []

    def run(self) -> Answers:
        try:
            for call in self.calls:
                if self.refused is None:
                    self._begin(call)
            while self.live:
                self._wait()
        finally:
            self._leave()
        if self.refused is not None:
            raise self.refused
        in_order = {call.alias: None for call in self.calls}
        by_alias = self.answers.by_alias
        self.answers.by_alias = {alias: by_alias[alias] for alias in in_order if alias in by_alias}
        return self.answers

    # Opening and sending.

    def _begin(self, call: _Call) -> None:
        self.live[call.alias] = call
        connection = call.connection
        if connection.connection is not None and connection.connection.closed and not connection.in_atomic_block:
            connection.close()
        if connection.connection is not None:
            connection.health_check_done = True  # the statement itself is the check
            try:
                breakers.check(call.alias)
            except ShardUnavailable as error:
                metrics.error(call.alias, "left_alone")
                self._failed(call, error)
            else:
                self._send(call)
            return
        if self.openings is None:
            self.openings = _Openings()
            self.selector.register(self.openings.bell, selectors.EVENT_READ, self._opened)
        self.openings.start(call)

    def _opened(self, events: int) -> None:
        assert self.openings is not None  # noqa: S101
        for call, outcome in self.openings.finished():
            try:
                _adopt(call.connection, outcome)
            except Error as error:
                self._failed(call, error)
            except Exception as error:
                self._refuse(call, error)
            else:
                self._send(call)

    def _send(self, call: _Call) -> None:
        call.began = time.monotonic()
        try:
            wrapped = call.connection.cursor()
            call.cursor = wrapped.cursor
            start: Callable[..., Any] = partial(self._start, call)
            if not self.is_continuation:
                for wrapper in reversed(call.connection.execute_wrappers):
                    start = partial(wrapper, start)
            start(*call.statement, False, {"connection": call.connection, "cursor": wrapped})
        except Error as error:
            self._failed(call, error)
        except Exception as error:
            self._refuse(call, error)

    def _start(self, call: _Call, sql: str, params: Any, many: bool, context: Any) -> None:
        call.connection.validate_no_broken_transaction()
        with call.connection.wrap_database_errors:
            call.talk = call.cursor._execute_gen(sql, params)
            call.waits = int(next(call.talk))
        call.socket = call.connection.connection.pgconn.socket
        self.selector.register(call.socket, call.waits, partial(self._continue, call))

    # Receiving.

    def _wait(self) -> None:
        now = time.monotonic()
        if self.ends is not None and now >= self.ends:
            self._give_up()
            return
        if self.cancels is not None and now >= self.cancels:
            self.cancels = None
            self._cancel()
        until = self.ends if self.cancels is None else self.cancels
        for key, events in self.selector.select(None if until is None else max(until - now, 0)):
            key.data(events)

    def _continue(self, call: _Call, events: int) -> None:
        try:
            with call.connection.wrap_database_errors:
                waits = int(call.talk.send(events))
        except StopIteration:
            self._finish(call)
        except Error as error:
            self._forget(call)
            self._failed(call, error)
        else:
            if waits != call.waits:
                call.waits = waits
                self.selector.modify(call.socket, waits, partial(self._continue, call))

    def _finish(self, call: _Call) -> None:
        self._forget(call)
        result = call.cursor.pgresult
        try:
            with call.connection.wrap_database_errors:
                rows = call.cursor.fetchall() if result.status == pq.ExecStatus.TUPLES_OK else []
        except Error as error:
            self._failed(call, error)
            return
        types = tuple(result.ftype(n) for n in range(result.nfields))
        self.answers.by_alias[call.alias] = Answer(rows, types)
        breakers.succeeded(call.alias)
        metrics.statements(call.alias)(time.monotonic() - call.began)
        self._done(call)

    def _done(self, call: _Call) -> None:
        del self.live[call.alias]
        if call.connection.queries_logged and not self.is_continuation:
            _log(call, time.monotonic() - call.began)
        if call.cursor is not None:
            call.cursor.close()

    def _forget(self, call: _Call) -> None:
        self.selector.unregister(call.socket)

    def _failed(self, call: _Call, error: Error) -> None:
        connection = call.connection
        if connection.connection is not None and connection.connection.closed:
            connection.close()
            metrics.error(call.alias, "lost")
            if call.may_reopen:
                call.may_reopen = False
                call.talk = None
                self._begin(call)
                return
            error = ShardUnavailable(call.alias, f"the connection was lost ({first_line(error)})")
        elif errors.sqlstate(error) is not None:
            breakers.succeeded(call.alias)
            if call.is_cancelled and errors.sqlstate(error) == errors.QUERY_CANCELED:
                error = self._too_late(call)
            else:
                metrics.error(call.alias, metrics.kind_of(errors.sqlstate(error)))
        self._done(call)
        if isinstance(error, OperationalError | InterfaceError) and not isinstance(error, BucketMoved):
            self.answers.failed[call.alias] = error
        else:
            self.refused = self.refused or error

    def _refuse(self, call: _Call, error: Exception) -> None:
        """To be raised, when those that were sent before have answered."""
        self.refused = self.refused or error
        self._done(call)

    # When time is up.

    def _cancel(self) -> None:
        """Ask the servers to stop; those that are frozen will not hear it."""
        if not capabilities.has_cancel_safe():
            return
        for call in self.live.values():
            if call.talk is not None:
                call.is_cancelled = True
                request = call.connection.connection.pgconn.cancel_conn()
                self.cancelling.append(request)
                request.start()
                self._ask_to_stop(request, registered=None)

    def _ask_to_stop(self, request: Any, events: int = 0, *, registered: int | None) -> None:
        if registered is not None:
            self.selector.unregister(registered)
        status = request.poll()
        if status in (pq.PollingStatus.READING, pq.PollingStatus.WRITING):
            event = selectors.EVENT_READ if status == pq.PollingStatus.READING else selectors.EVENT_WRITE
            fd = request.socket
            self.selector.register(fd, event, partial(self._ask_to_stop, request, registered=fd))

    def _give_up(self) -> None:
        for call in list(self.live.values()):
            if call.talk is not None:
                self._forget(call)
            error = self._too_late(call)
            if call.talk is not None and self.seconds is not None and self.seconds >= TELLING_SECONDS:
                breakers.failed(call.alias, error)
            self.answers.failed[call.alias] = error
            call.connection.close()
            self._done(call)

    def _too_late(self, call: _Call) -> DeadlineExceeded:
        metrics.error(call.alias, "deadline")
        return DeadlineExceeded(call.alias, f"no answer within {self.seconds:.1f} s")

    def _leave(self) -> None:
        """Also after Ctrl-C: no connection may stay behind in the middle of a statement."""
        for call in self.live.values():
            if call.talk is not None:
                call.connection.close()
        for request in self.cancelling:
            request.finish()
        if self.openings is not None:
            self.openings.abandon()
        self.selector.close()


class _Openings:
    """Connections being opened, each by a thread of its own: opening one waits, and for a frozen server very long."""

    def __init__(self) -> None:
        self.bell, self._ring = socket.socketpair()
        self._finished: SimpleQueue[tuple[_Call, Any]] = SimpleQueue()
        self._lock = threading.Lock()
        self._is_abandoned = False

    def start(self, call: _Call) -> None:
        parameters = call.connection.get_connection_params()
        run = partial(copy_context().run, self._open, call, parameters)
        threading.Thread(target=run, name=f"sharding-open-{call.alias}", daemon=True).start()

    def _open(self, call: _Call, parameters: Any) -> None:
        outcome: Any
        try:
            breakers.check(call.alias)  # by this thread: who may try is said to one
            outcome = call.connection.get_new_connection(parameters)
            breakers.succeeded(call.alias)
        except ConnectionRefused as error:  # of Django's own backend; this library's has words of its own
            outcome = ShardUnavailable(call.alias, first_line(error))
            breakers.failed(call.alias, outcome)
        except Exception as error:
            outcome = error
        with self._lock:
            if not self._is_abandoned:
                self._finished.put((call, outcome))
                self._ring.send(b"!")
            elif not isinstance(outcome, Exception):
                _discard(outcome)

    def finished(self) -> list[tuple[_Call, Any]]:
        """Those that are ready by now: a connection of psycopg's, or why there is none."""
        rung = self.bell.recv(4096)
        return [self._finished.get() for _ in rung]

    def abandon(self) -> None:
        with self._lock:
            self._is_abandoned = True
            while not self._finished.empty():
                _, outcome = self._finished.get()
                if not isinstance(outcome, Exception):
                    _discard(outcome)
        self.bell.close()
        self._ring.close()


def _discard(opened: Any) -> None:
    pool = getattr(opened, "_pool", None)
    if pool is not None:
        pool.putconn(opened)
    else:
        opened.close()


def _adopt(connection: Any, outcome: Any) -> None:
    """Let Django open its connection, its way, with what a thread has opened already."""

    def deliver(parameters: Any) -> Any:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    connection.get_new_connection = deliver
    try:
        connection.ensure_connection()
    finally:
        del connection.get_new_connection
        if connection.connection is not outcome and not isinstance(outcome, Exception):
            _discard(outcome)


def _log(call: _Call, seconds: float) -> None:
    """As Django's own debug cursor does, which would time the sending alone."""
    connection, (sql, params) = call.connection, call.statement
    if connection.connection is not None:
        sql = connection.ops.last_executed_query(call.cursor, sql, params or None)
    connection.queries_log.append({"sql": sql, "time": f"{seconds:.3f}"})
    logger.debug(
        "(%.3f) %s; args=%s; alias=%s",
        seconds,
        sql,
        params,
        call.alias,
        extra={"duration": seconds, "sql": sql, "params": params, "alias": call.alias},
    )
