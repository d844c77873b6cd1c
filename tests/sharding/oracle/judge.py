"""Runs one program on the shards and on the one database, and says whether they agree."""

import ast
import copy
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from asgiref.sync import async_to_sync
from django.db import DatabaseError, models
from django.db.models import functions, lookups
from django.db.models.expressions import RawSQL

from sharding.errors import BucketMoved, ShardingError
from tests.sharding.oracle import plain
from tests.sharding.oracle.world import IDS, World
from tests.sharding.shop import models as shop

EQUAL, REFUSED, WRONG = "equal", "refused", "wrong"


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a program."""

    kind: str
    text: str
    is_ordered: bool = False
    """Whether the order of the rows is part of the answer."""
    writes: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    kind: str
    verdict: str
    says: str = ""


def judge(world: World, program: list[Step]) -> list[Finding]:
    """What came of each step, up to an error of a database; a difference left behind is the last finding."""
    if not any(step.writes for step in program):
        return [_compare(step) for step in program]
    findings = []
    with world.undone():
        for step in program:
            finding = _compare(step)
            findings.append(finding)
            if world.has_failed():
                return findings
        difference = world.difference()
        if difference is not None:
            findings.append(Finding(program[-1].kind, WRONG, difference))
    return findings


def _compare(step: Step) -> Finding:
    code = compile(step.text, "<program>", "eval")
    found = _outcome(code, _on_shards, step)
    if isinstance(found, ShardingError) and not isinstance(found, BucketMoved):
        return Finding(step.kind, REFUSED, type(found).__name__)
    expected = _outcome(code, _on_one, step)
    if isinstance(found, BucketMoved) and isinstance(expected, DatabaseError):
        return Finding(step.kind, REFUSED, type(found).__name__)  # nothing moves: the database saw what routing did not
    if isinstance(found, Exception) and isinstance(expected, Exception):
        if type(found).__name__ != type(expected).__name__:
            return Finding(step.kind, WRONG, f"{found!r} instead of {expected!r}")
        return Finding(step.kind, EQUAL)
    if found != expected:
        return Finding(step.kind, WRONG, f"{found!r}\n  instead of {expected!r}")
    return Finding(step.kind, EQUAL)


def _outcome(code: Any, names: dict[str, Any], step: Step) -> Any:
    try:
        return _plain(eval(code, names), is_ordered=step.is_ordered)  # noqa: S307  a text of our own
    except Exception as error:  # whatever it is, the other side must say the same
        return error


def _plain(value: Any, *, is_ordered: bool) -> Any:
    """An answer in a form in which those of two databases can be compared."""
    if isinstance(value, models.Model):
        held = {name: each for name, each in value.__dict__.items() if not name.startswith("_")}
        return type(value).__name__, _plain(held, is_ordered=is_ordered)
    if isinstance(value, dict):
        return sorted(((key, _plain(held, is_ordered=is_ordered)) for key, held in value.items()), key=repr)
    if isinstance(value, tuple):
        return tuple(_plain(item, is_ordered=is_ordered) for item in value)
    if isinstance(value, list | models.QuerySet):
        items = [_plain(item, is_ordered=is_ordered) for item in value]
        return items if is_ordered else sorted(items, key=repr)
    return type(value) if hasattr(value, "resolve_expression") else value


# What programs may name.


def _wait(awaitable: Awaitable[Any]) -> Any:
    async def waiting() -> Any:
        return await awaitable

    return async_to_sync(waiting)()


async def _gathered(rows: AsyncIterable[Any]) -> list[Any]:
    return [row async for row in rows]


def _everywhere(manager: Any) -> Any:
    return manager.scatter() if hasattr(manager, "scatter") else manager


def _having(row: Any, **values: Any) -> Any:
    for name, value in values.items():
        setattr(row, name, value)
    return row


def _saved(row: Any, only: list[str] | None = None) -> Any:
    """The row as it is found again after it was saved: expressions have become values."""
    row.save(update_fields=only)
    return _refreshed(row)


def _refreshed(row: Any) -> Any:
    row.refresh_from_db()
    return row


def _names(m: Any) -> dict[str, Any]:
    given = (
        *(models.Avg, models.Case, models.Count, models.Exists, models.F, models.FilteredRelation, models.Max),
        *(models.Min, models.OuterRef, models.Prefetch, models.Q, models.Subquery, models.Sum, models.Value),
        *(models.When, models.Window, functions.Coalesce, functions.Rank, lookups.Exact, lookups.In),
        *(RawSQL, Decimal, date, datetime),
    )
    return {
        **{each.__name__: each for each in given},
        **{f"{kind}s": found for kind, found in IDS.items()},
        "m": m,
        "UTC": UTC,
        "copy": copy,
        "everywhere": _everywhere,
        "wait": _wait,
        "gathered": _gathered,
        "having": _having,
        "saved": _saved,
        "refreshed": _refreshed,
    }


_on_one = _names(plain.m)
_on_shards = _names(SimpleNamespace(**{model.__name__: model for model in plain.MODELS}))
assert all(model.__module__ == shop.__name__ for model in plain.MODELS)


# Making what is wrong small.


def shrunk(program: list[Step], is_still_wrong: Callable[[list[Step]], bool]) -> list[Step]:
    """The program with steps, and parts of steps, left out as long as it stays wrong."""
    again = True
    while again:
        again = False
        for smaller in _smaller(program):
            if is_still_wrong(smaller):
                program, again = smaller, True
                break
    return program


def _smaller(program: list[Step]) -> Iterator[list[Step]]:
    for n, step in enumerate(program):
        if len(program) > 1:
            yield program[:n] + program[n + 1 :]
        for text in _simpler(step.text):
            yield [*program[:n], Step(step.kind, text, step.is_ordered, step.writes), *program[n + 1 :]]


def _simpler(text: str) -> Iterator[str]:
    """``text`` with one call of a chain, one side of an operator, or one argument left out."""
    longest = len(ast.unparse(ast.parse(text, mode="eval")))
    for position in range(sum(1 for _ in ast.walk(ast.parse(text, mode="eval")))):
        for choice in range(sum(1 for _ in _instead_of(_node(ast.parse(text, mode="eval"), position)))):
            tree = ast.parse(text, mode="eval")
            node = _node(tree, position)
            simpler = ast.unparse(_Swap(node, list(_instead_of(node))[choice]).visit(tree))
            if len(simpler) < longest:
                yield simpler


def _node(tree: ast.AST, position: int) -> ast.AST:
    return list(ast.walk(tree))[position]


class _Swap(ast.NodeTransformer):
    def __init__(self, node: ast.AST, by: ast.AST) -> None:
        self.node, self.by = node, by

    def visit(self, node: ast.AST) -> ast.AST:
        return self.by if node is self.node else self.generic_visit(node)


def _instead_of(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Call):
        yield node.func.value
    if isinstance(node, ast.BinOp):
        yield from (node.left, node.right)
    if isinstance(node, ast.UnaryOp):
        yield node.operand
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Call):
        yield node.value
    if isinstance(node, ast.List) and len(node.elts) > 1:
        yield from (ast.List(node.elts[:n] + node.elts[n + 1 :], ast.Load()) for n in range(len(node.elts)))
    if isinstance(node, ast.Call) and len(node.keywords) > 1:
        for n in range(len(node.keywords)):
            yield ast.Call(node.func, node.args, node.keywords[:n] + node.keywords[n + 1 :])
