"""Plots are whole SVG, with every line inside its frame; a page gets them with its figures."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.__main__ import write
from bench.dispatch.grocery import plot
from bench.report import Figure, Report

SVG = "{http://www.w3.org/2000/svg}"


def drawn(**other: object) -> str:
    told: dict[str, object] = {
        "title": "Cost & gain",
        "x_label": "demand",
        "xs": (1.0, 2.0, 4.0),
        "series": ("old", "new <best>"),
        "panels": [plot.Panel("Minutes", [[41, 42, 43], [36, 35, 34]], least=30), plot.Panel("Late", [[0, 5, 80]] * 2)],
        "footer": "a machine",
    }
    return plot.svg(plot.Plot(**(told | other)))  # type: ignore[arg-type]


def test_every_value_is_drawn_where_it_belongs():
    root = ElementTree.fromstring(drawn())  # noqa: S314 (our own)
    words = [text.text for text in root.iter(f"{SVG}text")]
    assert {"Cost & gain", "new <best>", "Minutes", "Late", "demand", "a machine", "30", "45"} <= set(words)
    lines = [line.attrib["points"] for line in root.iter(f"{SVG}polyline")]
    assert len(lines) == 4
    points = [[tuple(map(float, pair.split(","))) for pair in line.split(" ")] for line in lines]
    assert all(0 <= x <= plot.WIDTH and plot.TOP <= y <= plot.HEIGHT - plot.BOTTOM for line in points for x, y in line)
    first, second = points[0], points[1]
    assert [x for x, _ in first] == [x for x, _ in second]
    assert first[2][0] - first[1][0] == pytest.approx(2 * (first[1][0] - first[0][0]), abs=0.2)
    assert first[0][1] > first[1][1] > first[2][1]  # rising values go up
    assert points[2][0][1] == plot.HEIGHT - plot.BOTTOM  # nothing is on the floor


def test_more_series_than_marks_are_refused():
    with pytest.raises(ValueError, match="draw fewer"):
        drawn(series=("a", "b", "c", "d", "e"))


@pytest.mark.parametrize(
    ("least", "most", "expected"),
    [
        (0, 80, [0, 20, 40, 60, 80]),
        (25, 43, [25, 30, 35, 40, 45]),
        (1, 1, [1, 2]),
        (0, 0.9, [0, 0.25, 0.5, 0.75, 1]),
    ],
)
def test_axes_have_round_numbers(least: float, most: float, expected: list[float]):
    assert plot.steps(least, most) == pytest.approx(expected)


def test_a_page_gets_figures_what_belongs_below_and_pictures(tmp_path: Path):
    (tmp_path / "images").mkdir()
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- bench:x -->\nold\n<!-- /bench:x -->\nafter\n")
    figure = Figure(name="speed", value=3.0, unit="km", at_least=2)
    write(
        Report(bench="x", figures=(figure,), below="![it](images/it.svg)", pictures={"images/it.svg": "<svg/>"}), page
    )
    lines = page.read_text().splitlines()
    assert lines[1:7] == [
        "<!-- bench:x -->",
        "| figure | measured | goal |",
        "|---|---|---|",
        "| speed | 3 km | ≥ 2 |",
        "",
        "![it](images/it.svg)",
    ]
    assert (lines[0], lines[-1]) == ("before", "after")
    assert (tmp_path / "images" / "it.svg").read_text() == "<svg/>"
