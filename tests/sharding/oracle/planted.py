"""Mistakes a router can make. Each is planted into the library, and the oracle has to notice it.

A mistake is a piece of the library's own text and what stands there instead.
"""

import inspect
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sharding import colocation, keys, narrowing
from sharding.querysets import ShardedQuerySet
from sharding.reads import ReadingQuerySet
from tests.sharding.oracle import plain
from tests.sharding.oracle.sweep import is_wrong, program
from tests.sharding.oracle.world import World

MOST_PROGRAMS = 2_000


@dataclass(frozen=True, slots=True)
class Mistake:
    says: str
    where: Any
    """The module or class that holds the function."""
    function: str
    text: str
    instead: str
    shown_by: str = "rows"
    """The kind of program that is likely to show it."""

    @contextmanager
    def planted(self) -> Iterator[None]:
        right = vars(self.where)[self.function]
        source = textwrap.dedent(inspect.getsource(right))
        assert source.count(self.text) == 1, f"{self.function} has changed: plant this mistake anew"
        made: dict[str, Any] = {}
        exec(source.replace(self.text, self.instead), right.__globals__, made)  # noqa: S102
        setattr(self.where, self.function, made[self.function])
        _forget()
        try:
            yield
        finally:
            setattr(self.where, self.function, right)
            _forget()

    def is_noticed(self, world: World) -> bool:
        """Whether one of the first programs of its kind gets a wrong answer from a library that makes this mistake."""
        with self.planted():
            return any(is_wrong(world, program(seed, self.shown_by)) for seed in range(MOST_PROGRAMS))


def _forget() -> None:
    """What columns mean is kept on them."""
    for model in plain.MODELS:
        for field in model._meta.get_fields():
            vars(field).pop("_sharding_bucket_of", None)


MISTAKES = (
    Mistake(
        "Any equality among the conditions wins, whatever joins them.",
        narrowing,
        "_of_node",
        "if is_any:\n                return None",
        "if is_any:\n                continue",
    ),
    Mistake(
        "A negation is not seen.",
        narrowing,
        "_of_node",
        "when_true = not when_true",
        "pass",
    ),
    Mistake(
        "OR narrows like AND.",
        narrowing,
        "_of_node",
        "is_any = (connector == OR) == when_true",
        "is_any = connector == 'XOR'",
    ),
    Mistake(
        "XOR narrows like AND.",
        narrowing,
        "_of_node",
        "connector = OR  #",
        "connector = AND  #",
    ),
    Mistake(
        "The first id of a list decides for all of them.",
        narrowing,
        "_of_values",
        "    return frozenset(found)",
        "    return frozenset(list(found)[:1])",
    ),
    Mistake(
        "An id is taken for a key.",
        keys,
        "_bucket_function",
        "return bucket_of_id",
        "return bucket_of_key",
    ),
    Mistake(
        "A union goes where its first part goes.",
        narrowing,
        "buckets",
        "_either([buckets(part) for part in query.combined_queries])",
        "buckets(query.combined_queries[0])",
        "combined",
    ),
    Mistake(
        "A condition narrows although windows look at every row before it.",
        narrowing,
        "_of_node",
        "if is_any and node.contains_over_clause:",
        "if False:",
        "window",
    ),
    Mistake(
        "A subquery that picks some of its rows counts as tied to the row outside.",
        colocation,
        "_is_tied_by_in",
        "and not picks_rows",
        "",
        "subquery",
    ),
    Mistake(
        "A reference that may be NULL, or is outer-joined, counts as one that is always there.",
        colocation,
        "_is_tied_by_in",
        "(part.only_truth or _names_bucket(column, inner))",
        "True",
        "subquery",
    ),
    Mistake(
        "Queries are not looked into.",
        colocation,
        "is_plain",
        "if query.annotations",
        "return True\n    if query.annotations",
        "subquery",
    ),
    Mistake(
        "Any subquery counts as tied to the row outside.",
        colocation,
        "_is_correlated",
        "if inner.combinator:",
        "return True\n    if inner.combinator:",
        "subquery",
    ),
    Mistake(
        "A tie counts although it is one of two alternatives, or negated.",
        colocation,
        "_ties",
        "if node.negated or node.connector != AND:",
        "if False:",
        "subquery",
    ),
    Mistake(
        "A subquery may run where some of its rows are.",
        colocation,
        "_runs_only_on",
        "<= set(run_on)",
        "& set(run_on)",
        "subquery",
    ),
    Mistake(
        "The order of rows is not looked into.",
        colocation,
        "_shows_everything",
        "if query.distinct_fields",
        "return True\n    if query.distinct_fields",
        "order by expression",
    ),
    Mistake(
        "Parts of a union are not looked into.",
        colocation,
        "check",
        "check(part, keyspace, run_on)",
        "continue",
        "combined",
    ),
    Mistake(
        "What an aggregate looks at is not looked into.",
        colocation,
        "check_aggregates",
        "if all(",
        "if True or all(",
        "aggregate",
    ),
    Mistake(
        "What rows are updated to is not looked into.",
        colocation,
        "check_update",
        "if not all(",
        "if False and not all(",
        "update",
    ),
    Mistake(
        "What one row is set to is not looked into.",
        colocation,
        "check_row",
        "if all(",
        "if True or all(",
        "create",
    ),
    Mistake(
        "A row is made where it was looked for, whatever its key says.",
        ShardedQuerySet,
        "_refuse_elsewhere",
        "if self._db not in (None, alias):",
        "if False:",
        "get/update_or_create",
    ),
    Mistake(
        "A row is looked for where its key would put it, and not where its id says it is.",
        keys,
        "bucket_of_row",
        "id is not None and bucket_of is not None",
        "id is not None and bucket_of is not None and row.__dict__.get(placed.key.attname) is None",
        "save and delete a row",
    ),
    Mistake(
        "A clone goes where the queryset it was made from went.",
        ReadingQuerySet,
        "_route",
        "return routing.route(self.model, self.query, everywhere=self._mark is not None)",
        "return self._hints.setdefault('went', routing.route(self.model, self.query))",
        "refined",
    ),
)
