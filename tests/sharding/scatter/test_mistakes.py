"""Mistakes planted in the merging of answers, each of which random questions must show."""

from typing import Any

import pytest

from sharding import copies, merging, scatter, topology
from sharding.merging import aggregates, values
from sharding.merging import parts as scatter_parts
from sharding.merging.parts import PartCompiler
from tests.sharding.scatter.judging import judged


def _mean(parts: Any, types: Any) -> Any:
    averages = [part[0] for part in parts if part[0] is not None]
    return sum(averages) / len(averages) if averages else None


def _nulls_the_other_way(type_oid: int, *, descending: bool = False, nulls_first: bool | None = None) -> Any:
    return ORDER_KEY(
        type_oid, descending=descending, nulls_first=not (descending if nulls_first is None else nulls_first)
    )


def _without_having(compiler: Any, with_col_aliases: bool = False) -> Any:
    found = SETUP(compiler, with_col_aliases)
    compiler.having = compiler.query.where.split_having_qualify(must_group_by=True)[1]
    return found


ORDER_KEY, SETUP = values.order_key, PartCompiler.pre_sql_setup
MISTAKES: dict[str, tuple[Any, str, Any]] = {
    "what is not owned counts as well": (copies, "narrow", lambda query, ranges: None),
    "each database skips its own first rows": (scatter_parts, "part_of", lambda query, *, alone: query.chain()),
    "more rows come than were asked for": (scatter_parts.Plan, "high", property(lambda plan: None, lambda *_: None)),
    "NULL is sorted the other way": (values, "order_key", _nulls_the_other_way),
    "what descends is merged ascending": (values, "_negated", lambda value: value),
    "groups are not put together": (merging, "_identities", lambda types, by: lambda row: (id(row),)),
    "an average is the average of averages": (aggregates, "_average", _mean),
    "counts are not added": (aggregates, "_count", lambda parts, types: max(part[0] for part in parts)),
    "values that several databases have are counted for each": (aggregates, "_is_apart", lambda expression: True),
    "each database checks its part of a group": (PartCompiler, "pre_sql_setup", _without_having),
    "values that several databases have come several times": (merging, "_distinct", lambda rows, identities: rows),
    "a group is taken to be on one database": (PartCompiler, "_names_bucket", lambda compiler, expression: True),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_merging_is_noticed(world: None, monkeypatch: pytest.MonkeyPatch, mistake: str) -> None:
    where, name, wrong = MISTAKES[mistake]
    right = getattr(where, name)
    monkeypatch.setattr(where, name, wrong)
    for module in (scatter, merging):  # who imported it by name
        if getattr(module, name, None) is right:
            monkeypatch.setattr(module, name, wrong)
    ways = {kind: wrong if way is right else way for kind, way in aggregates._WAYS.items()}
    monkeypatch.setattr(aggregates, "_WAYS", ways)
    if mistake.startswith("what is not owned") and not topology.keyspace("customer").copies:
        pytest.skip("every database holds its own rows only")
    for n in range(1500):
        if judged(f"mistakes:{n}")[1].startswith("wrong"):
            return
    pytest.fail("1500 questions did not show it")
