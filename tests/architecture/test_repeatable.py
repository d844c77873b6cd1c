"""A service survives that its rows move to another database while it is at work: it can be begun again."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

APPS = Path(__file__).parents[2] / "apps"
STAY_WHERE_THEY_ARE = ("'default'", "GLOBAL", "using")
"""What a transaction is opened on that no move changes: the global database, and one that a sweep names."""
BEGUN_ELSEWHERE = {
    "apps/dispatch/services/planning.py::offer",  # claims a shopper first; the next plan is seconds away
}


def unrepeatable(path: Path) -> Iterator[str]:
    """Functions that open a transaction on a shard, and are not ``@sharding.repeatable``."""
    for function in ast.parse(path.read_text()).body:
        if isinstance(function, ast.FunctionDef) and "sharding.repeatable" not in map(
            ast.unparse, function.decorator_list
        ):
            opened = {
                ast.unparse(call.args[0])
                for call in ast.walk(function)
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "sharding.atomic"
            }
            if opened.difference(STAY_WHERE_THEY_ARE):
                yield f"{path.relative_to(APPS.parent)}::{function.name}"


def test_services_are_begun_again_where_a_bucket_was_moved():
    services = [*APPS.glob("*/services.py"), *APPS.glob("*/services/*.py")]
    assert len(services) > 20
    assert {name for path in services for name in unrepeatable(path)} == BEGUN_ELSEWHERE


@pytest.mark.parametrize(
    ("decorator", "opened", "is_found"),
    [
        ("", 'sharding.home("store", 1)', True),
        ("@sharding.repeatable", 'sharding.home("store", 1)', False),
        ("@cache", "row", True),
        ("", "using", False),
        ("", '"default"', False),
    ],
)
def test_the_check_sees_what_it_is_for(decorator, opened, is_found, tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.APPS", tmp_path / "apps")
    path = tmp_path / "services.py"
    path.write_text(f"{decorator}\ndef keep():\n    with sharding.atomic({opened}):\n        pass\n")
    assert list(unrepeatable(path)) == (["services.py::keep"] if is_found else [])
