"""Kill the process at every call that leaves it: around each transaction and each call to the payment provider.

Writes outside of any transaction count as one each.

A kill is an exception that nothing in the project catches (it is no ``Exception``), as with SIGKILL
no ``except`` runs on the way out. It comes before the call (nothing was done), after it (done, and
nobody heard), and for transactions also before the COMMIT (all of it undone).
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from django.db import connections, transaction

import sharding
from apps.payments.fake import FakeGateway
from apps.payments.gateway import PaymentGateway

PROVIDER_CALLS = tuple(name for name in vars(PaymentGateway) if not name.startswith("_"))
"""Every method of the gateway: a new one is killed without anybody thinking of it."""


class Killed(BaseException):
    pass


@dataclass
class Failpoints:
    """Numbers the points that are passed, and kills at number ``deadly`` if there is one."""

    deadly: int | None = None
    passed: list[str] = field(default_factory=list)

    def reach(self, name: str) -> None:
        self.passed.append(name)
        if self.deadly == len(self.passed) - 1:
            raise Killed(name)


@contextmanager
def failpoints(provider: FakeGateway, *, deadly: int | None = None) -> Iterator[Failpoints]:
    points = Failpoints(deadly)
    enter, leave = transaction.Atomic.__enter__, transaction.Atomic.__exit__

    def keyspace(using: str) -> str:
        return using.partition("_")[0]

    def entering(self: Any) -> None:
        outermost = not transaction.get_connection(self.using).in_atomic_block
        if outermost:
            points.reach(f"before {keyspace(self.using)}")
        enter(self)
        self.is_outermost = outermost

    def leaving(self: Any, kind: Any, error: Any, trace: Any) -> None:
        outermost = self.is_outermost and kind is None
        if outermost:
            try:
                points.reach(f"in {keyspace(self.using)}")
            except Killed as killed:
                leave(self, Killed, killed, killed.__traceback__)
                raise
        leave(self, kind, error, trace)
        if outermost:
            points.reach(f"after {keyspace(self.using)}")

    def around(method: str) -> Callable[..., Any]:
        real = getattr(provider, method)

        def call(*args: Any, **kwargs: Any) -> Any:
            points.reach(f"before {method}")
            answer = real(*args, **kwargs)
            points.reach(f"after {method}")
            return answer

        return call

    def writing(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        """A write outside any transaction commits by itself."""
        if context["connection"].in_atomic_block or not sql.startswith(("INSERT", "UPDATE", "DELETE")):
            return execute(sql, params, many, context)
        where = keyspace(context["connection"].alias)
        points.reach(f"before write to {where}")
        done = execute(sql, params, many, context)
        points.reach(f"after write to {where}")
        return done

    with (
        ExitStack() as stack,
        mock.patch.object(transaction.Atomic, "__enter__", entering),
        mock.patch.object(transaction.Atomic, "__exit__", leaving),
        mock.patch.multiple(provider, **{method: around(method) for method in PROVIDER_CALLS}),
    ):
        for alias in sharding.all_aliases():
            stack.enter_context(connections[alias].execute_wrapper(writing))
        yield points
