"""Rows of several databases from server-side cursors, so that only some of them are in memory at a time."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.db import connections
from psycopg.pq import TransactionStatus

from sharding import conf, fanout, merging
from sharding.fanout import Answers, Statement

_numbers = itertools.count(1)


class Cursors:
    """One cursor on each database, from which rows are fetched as they are needed, ``size`` at a time."""

    def __init__(self, ask: Callable[..., Answers], statements: Mapping[str, Statement], size: int) -> None:
        self._ask = ask
        self._statements = statements
        self._size = size
        self._name = f"sharding_{next(_numbers)}"
        self._declared: dict[str, Any] = {}
        """By alias: the connection on which the cursor is open."""

    def sources(self) -> list[merging.Source]:
        declared = self._ask({alias: self._declaration(alias, *found) for alias, found in self._statements.items()})
        self._declared = {alias: connections[alias].connection for alias in declared.by_alias}
        answers = self._fetch(list(self._declared))
        return [
            merging.Source(alias, answer.types, self._rows(alias, answer.rows))
            for alias, answer in answers.by_alias.items()
        ]

    def close(self) -> None:
        still_open = [
            alias
            for alias, found in self._declared.items()
            # A transaction that failed closes its cursors itself.
            if connections[alias].connection is found and found.info.transaction_status != TransactionStatus.INERROR
        ]
        if still_open:
            close = Statement(f'CLOSE "{self._name}"')
            fanout.ask(dict.fromkeys(still_open, close), conf.options().deadline_seconds, is_continuation=True)

    def _declaration(self, alias: str, sql: str, params: Any) -> Statement:
        # Outside of a transaction a cursor lives on only if it is told to.
        connection = connections[alias]
        hold = "WITH HOLD " if connection.connection is None or connection.autocommit else ""
        return Statement(f'DECLARE "{self._name}" NO SCROLL CURSOR {hold}FOR {sql}', params)

    def _fetch(self, aliases: list[str]) -> Answers:
        fetch = Statement(f'FETCH FORWARD {self._size} FROM "{self._name}"')
        return self._ask(dict.fromkeys(aliases, fetch), is_continuation=True)

    def _rows(self, alias: str, rows: list[merging.Row]) -> Iterator[merging.Row]:
        while True:
            yield from rows
            if len(rows) < self._size:
                return
            answer = self._fetch([alias]).by_alias.get(alias)
            if answer is None:
                return  # it is among the missing now
            rows = answer.rows
