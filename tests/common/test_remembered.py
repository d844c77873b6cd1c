"""A memory that is asked once a moment, and says what is new after it."""

import pytest

from apps.common import remembered
from apps.common.remembered import Remembered


class Table:
    """Rows that can change, and what was asked of them."""

    def __init__(self, **rows: int) -> None:
        self.rows = rows
        self.asked: list[list[str]] = []

    def load(self, keys):
        self.asked.append(list(keys))
        return {key: self.rows[key] for key in keys if key in self.rows}


@pytest.fixture(autouse=True)
def clock(monkeypatch, settings):
    """Seconds that pass when told to."""
    settings.REFERENCE_SECONDS = 2.0
    now = [100.0]
    monkeypatch.setattr(remembered.time, "monotonic", lambda: now[0])
    return now


def test_what_was_asked_lately_is_not_asked_again(clock):
    table = Table(bread=3, milk=4)
    memory = Remembered(table.load)
    assert memory.get(["bread"]) == {"bread": 3}
    table.rows["bread"] = 5
    clock[0] += 1.9
    assert memory.get(["milk", "bread"]) == {"milk": 4, "bread": 3}
    assert table.asked == [["bread"], ["milk"]]


def test_two_seconds_later_it_knows_better(clock):
    table = Table(bread=3)
    memory = Remembered(table.load)
    memory.one("bread")
    table.rows["bread"] = 5
    clock[0] += 2
    assert memory.one("bread") == 5
    assert memory.one("bread") == 5
    assert table.asked == [["bread"], ["bread"]]


def test_what_is_not_there_is_asked_for_each_time(clock):
    table = Table()
    memory = Remembered(table.load)
    assert memory.one("bread") is None
    table.rows["bread"] = 3
    assert memory.one("bread") == 3


def test_answers_come_in_the_order_of_the_question(clock):
    memory = Remembered(Table(a=1, b=2, c=3).load)
    memory.get(["c", "a"])
    assert list(memory.get(["a", "b", "c", "gone"])) == ["a", "b", "c"]


def test_without_seconds_nothing_is_remembered(settings):
    settings.REFERENCE_SECONDS = 0
    table = Table(bread=3)
    memory = Remembered(table.load)
    assert [memory.one("bread"), memory.one("bread")] == [3, 3]
    assert table.asked == [["bread"], ["bread"]]


def test_it_does_not_grow_without_end(monkeypatch):
    monkeypatch.setattr(remembered, "MOST", 3)
    table = Table(a=1, b=2, c=3, d=4)
    memory = Remembered(table.load)
    memory.get(["a", "b", "c"])
    assert memory.get(["c", "d"]) == {"c": 3, "d": 4}
    memory.get(["a"])
    assert table.asked == [["a", "b", "c"], ["d"], ["a"]]
