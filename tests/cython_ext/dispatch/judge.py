"""The judge of the public benchmark: its tests run where it is, and say so where it is not."""

from types import ModuleType

import pytest

from bench.dispatch import judge


def module(name: str) -> ModuleType:
    """A module of the judge (``snapshot``, ``policies.greedy``); skips the test, loudly, where it is missing."""
    path = judge.FOLDER / f"{name.replace('.', '/')}.py"
    if not path.is_file():
        pytest.skip(f"NO JUDGE: {path} is missing; set INSTACART_SHARED to the folder that has bench/dispatch")
    return judge.module(name)
