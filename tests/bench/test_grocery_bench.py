"""The benchmark of grocery days measures nothing without its data, and says so."""

import sys
from pathlib import Path

import pytest

from bench import __main__ as runner
from bench import grocery
from bench.dispatch.grocery import zone


@pytest.fixture(autouse=True)
def _no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(zone, "DATA", tmp_path / "none")


def test_without_data_it_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert grocery.main(quick=True).figures == ()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(";")[0] for line in lines] == [
        f"NO REAL DATA: {tmp_path / 'none' / name} is missing"
        for name in (zone.STREETS, zone.STORES, "completejourney/transactions.csv.gz")
    ]


def test_a_page_keeps_its_figures_when_nothing_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    page = tmp_path / "page.md"
    page.write_text("<!-- bench:grocery -->\nold figures\n<!-- /bench:grocery -->\n")
    monkeypatch.setattr(sys, "argv", ["bench", "grocery", "--quick", "--into", str(page)])
    assert runner.main() == 0
    assert "old figures" in page.read_text()
