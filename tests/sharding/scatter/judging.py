"""One random question to three shards at once, and to one database with all rows: what came of it."""

import math
from decimal import Decimal
from typing import Any

from django.core.exceptions import FieldError
from django.db import ProgrammingError

from sharding import CrossShardQuery
from tests.sharding.samples import TOGETHER, Sample
from tests.sharding.scatter.questions import Drawer


def alike(one: Any, other: Any) -> bool:
    """Equal, of one type, and decimals with as many places; floats but for their last bits."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return math.isclose(one, other, rel_tol=1e-12) or (math.isnan(one) and math.isnan(other))
    if isinstance(one, Decimal):
        return str(one) == str(other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    return bool(one == other)


def judged(seed: str) -> tuple[str, str]:
    """What was asked, and ``equal``, ``refused …`` or ``wrong: …``."""
    drawer = Drawer(seed)
    question = drawer.question()
    try:
        expected = question(Sample.objects.using(TOGETHER))
    except (FieldError, ProgrammingError) as error:  # Django makes no SQL of it, or wrong SQL
        expected = type(error)
    try:
        found = question(Sample.objects.scatter())
    except CrossShardQuery as refusal:
        return drawer.said[0], f"refused: {refusal}"
    except (FieldError, ProgrammingError) as error:
        found = expected if expected is type(error) else error
    if alike(found, expected):
        return drawer.said[0], "equal"
    return drawer.said[0], f"wrong: {found!r}\ninstead of {expected!r}\n" + "\n".join(drawer.said)
