"""docs/state-machines.md draws what the code says. Write it anew with ``./dev draw-states``."""

import importlib
import re
from collections.abc import Collection, Mapping
from enum import StrEnum

import pytest

from deploy import state_machines
from instacart.env import ROOT


def tables():
    """Every table of states in an app's rules: from each state of an enumeration to states of it."""
    for path in sorted((ROOT / "apps").glob("*/domain*")):
        name = f"apps.{path.parent.name}.domain"
        for attribute, value in vars(importlib.import_module(name)).items():
            if isinstance(value, Mapping) and value and all(isinstance(key, StrEnum) for key in value):
                states = [state for following in value.values() if is_states(following) for state in following]
                if states and all(isinstance(state, type(next(iter(value)))) for state in states):
                    yield f"{name}.{attribute}"


def is_states(value):
    return isinstance(value, Collection) and not isinstance(value, str)


def test_the_page_is_what_the_code_says():
    assert state_machines.PAGE.read_text(encoding="utf-8") == state_machines.page()


def test_every_table_of_states_is_drawn():
    assert sorted(tables()) == sorted(machine.where for machine in state_machines.MACHINES)
    for machine in state_machines.MACHINES:
        module, _, name = machine.where.rpartition(".")
        assert getattr(importlib.import_module(module), name) is machine.table


@pytest.mark.parametrize("machine", state_machines.MACHINES, ids=lambda machine: machine.title)
def test_a_drawing_has_every_state_and_step_once_and_every_state_can_be_reached(machine):
    steps = re.findall(r"^    (\S+) --> (\S+)( : earned)?$", state_machines.drawing(machine), re.MULTILINE)
    between = [(before, after) for before, after, _ in steps if "[*]" not in (before, after)]
    expected = {(str(before), str(after)) for before, following in machine.table.items() for after in following}
    assert (set(between), len(between)) == (expected, len(expected))
    assert [after for before, after, _ in steps if before == "[*]"] == [machine.initial]
    assert {before for before, after, _ in steps if after == "[*]"} == {
        str(state) for state, following in machine.table.items() if not following
    }
    assert {(before, after) for before, after, earned in steps if earned} == set(machine.earned)
    reached = {str(machine.initial)}
    for _ in machine.table:
        reached |= {after for before, after in between if before in reached}
    assert reached == {str(state) for state in type(machine.initial)}
