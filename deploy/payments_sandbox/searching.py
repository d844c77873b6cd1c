"""Stripe's query language, as far as payments are looked for with it: https://docs.stripe.com/search#search-query-language"""

import operator
import re
from typing import Any

from deploy.payments_sandbox.call import Call
from deploy.payments_sandbox.errors import invalid
from deploy.payments_sandbox.state import Object, public

INDEXED_AFTER = 60
"""Seconds; Stripe says "under normal operating conditions" within a minute: nothing may be read right after writing."""
_FIELDS = frozenset({"amount", "created", "currency", "customer", "status"})
_NUMBERS = frozenset({"amount", "created"})
_SIGNS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_CLAUSE = re.compile(r"""(-?)(\w+)(?:\[["'](.+?)["']\])?(:|~|<=|>=|<|>)(?:"([^"]*)"|'([^']*)'|([\w.-]+))""")


def payment_intents(call: Call) -> Object:
    given = call.params
    limit, skip = given.get("limit", 10), int(given.get("page") or 0)
    if not 1 <= limit <= 100:
        raise invalid("This value must be between 1 and 100.", code="parameter_invalid_integer", param="limit")
    wanted, together = _parsed(given["query"])
    indexed = [one for one in call.store.all("payment_intent") if one["created"] <= call.store.now() - INDEXED_AFTER]
    found = [one for one in reversed(indexed) if together(_holds(one, *clause) for clause in wanted)]
    more = len(found) > skip + limit
    return {
        "object": "search_result",
        "data": [public(one) for one in found[skip : skip + limit]],
        "has_more": more,
        "next_page": str(skip + limit) if more else None,
        "url": call.path,
    }


def _parsed(query: str) -> tuple[list[tuple[str, ...]], Any]:
    joints = set(re.findall(r"\s+(AND|OR)\s+", query))
    parts = re.split(r"\s+(?:AND|OR)\s+|\s+(?=[-\w]+(?:\[|:|~|<|>))", query.strip())
    clauses = [_CLAUSE.fullmatch(part) for part in parts]
    if len(joints) > 1 or not all(clauses):
        raise invalid("We were unable to parse your search query.", param="query")
    wanted: list[tuple[str, ...]] = []
    for clause in filter(None, clauses):
        minus, field, key, sign, *values = map(str, clause.groups(""))
        if (field == "metadata") != bool(key) or field not in _FIELDS | {"metadata"}:
            raise invalid(f"Field `{field}` is an unsupported search field for resource `payment_intents`.")
        value = "".join(values)
        if (sign in "<=>=") != (field in _NUMBERS and sign != ":") or (field in _NUMBERS and not value.isdigit()):
            raise invalid(f"Operator {sign} cannot be used with {field} and {value}.", param="query")
        wanted.append((minus, field, key, sign, value))
    return wanted, any if joints == {"OR"} else all


def _holds(one: Object, minus: str, field: str, key: str, sign: str, value: str) -> bool:
    there = one["metadata"].get(key) if field == "metadata" else one[field]
    return bool(minus) != _compares(there, sign, value)


def _compares(there: Any, sign: str, value: str) -> bool:
    if there is None:
        return False
    if sign == "~":
        return value.lower() in str(there).lower()
    if sign == ":":
        return str(there).lower() == value.lower()
    return bool(_SIGNS[sign](there, int(value)))
