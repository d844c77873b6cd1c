"""docs/payments.md says where each fault is tried, and each point of the sandbox: those tests must exist."""

import re

from instacart.env import ROOT

PAGE = (ROOT / "docs" / "payments.md").read_text(encoding="utf-8")


def test_every_fault_of_paying_has_its_tests() -> None:
    numbered = re.findall(r"^\| (P\d+) \|.*`tests/", PAGE, re.MULTILINE)
    assert sorted(set(numbered), key=lambda name: int(name[1:])) == [f"P{n}" for n in range(1, 12)]


def test_every_test_that_is_named_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
    assert len(named) > 30
    missing = [
        f"{path}::{name}" for path, name in named if f"def {name}(" not in (ROOT / path).read_text(encoding="utf-8")
    ]
    assert missing == []
