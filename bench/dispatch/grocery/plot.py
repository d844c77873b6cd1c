"""Lines over a shared axis, side by side, as one SVG: enough for a page of figures, without a library.

It paints its own ground, light or dark as its reader prefers, so that it can be read on either page.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 1080, 400
TOP, BOTTOM, SIDE, GAP = 108, 78, 52, 54
MARKS = ("circle", "square", "triangle", "diamond")
LIGHT = ("#6b7280", "#c2570c", "#3b82c4", "#0f766e")
DARK = ("#9ca3af", "#fb923c", "#7dc0f5", "#34d3b4")
"""Told apart by colour-blind eyes as well; each line has a mark of its own besides."""
DASHES = ("2 5", "9 5", "5 3", "none")
MOST = len(MARKS)


@dataclass(frozen=True, slots=True)
class Panel:
    """``lines[k]`` are the values of series k, one for each x. The axis begins at ``least``."""

    title: str
    lines: Sequence[Sequence[float]]
    least: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    title: str
    x_label: str
    xs: Sequence[float]
    series: Sequence[str]
    panels: Sequence[Panel]
    footer: str


def svg(plot: Plot) -> str:
    """ValueError for more series than there are marks."""
    if len(plot.series) > MOST:
        raise ValueError(f"{len(plot.series)} series; {MOST} can be told apart: draw fewer in one plot")
    span = (WIDTH - 2 * SIDE - GAP * (len(plot.panels) - 1)) / len(plot.panels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="t">',
        f'<title id="t">{escape(plot.title)}</title>',
        f"<style>{_style()}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}" rx="10"/>',
        _text(SIDE, 34, plot.title, "title"),
        *_legend(plot.series),
        _text(WIDTH / 2, HEIGHT - 36, plot.x_label, "label", "middle"),
        _text(WIDTH - SIDE, HEIGHT - 13, plot.footer, "note", "end"),
    ]
    for k, panel in enumerate(plot.panels):
        parts += _panel(panel, plot.xs, SIDE + k * (span + GAP), span)
    return "\n".join([*parts, "</svg>", ""])


def steps(least: float, most: float) -> list[float]:
    """Round numbers for an axis, four to seven of them, the last not below ``most``."""
    raw = (most - least) / 4 or 1.0
    scale = 10.0 ** math.floor(math.log10(raw))
    step = next(size * scale for size in (1, 2, 2.5, 5, 10) if size * scale >= raw * 0.999)
    count = math.ceil(round((most - least) / step, 6)) or 1
    return [least + k * step for k in range(count + 1)]


def _panel(panel: Panel, xs: Sequence[float], left: float, width: float) -> list[str]:
    ticks = steps(panel.least, max(max(line) for line in panel.lines))
    floor, height = HEIGHT - BOTTOM, HEIGHT - BOTTOM - TOP
    inset = 10.0

    def across(x: float) -> float:
        return left + inset + (width - 2 * inset) * (x - xs[0]) / ((xs[-1] - xs[0]) or 1.0)

    def up(y: float) -> float:
        return floor - height * (y - ticks[0]) / (ticks[-1] - ticks[0])

    parts = [_text(left, TOP - 16, panel.title, "panel")]
    for tick in ticks:
        y = up(tick)
        parts.append(f'<line class="grid" x1="{left:.1f}" y1="{y:.1f}" x2="{left + width:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(left - 8, y + 4, f"{tick:g}", "tick", "end"))
    parts += [_text(across(x), floor + 19, f"{x:g}", "tick", "middle") for x in xs]
    for k, line in enumerate(panel.lines):
        points = [(across(x), up(y)) for x, y in zip(xs, line, strict=True)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline class="line s{k}" points="{path}"/>')
        parts += [_mark(k, x, y) for x, y in points]
    return parts


def _legend(series: Sequence[str]) -> list[str]:
    parts, x = list[str](), float(SIDE)
    for k, name in enumerate(series):
        parts.append(f'<line class="line s{k}" x1="{x:.0f}" y1="58" x2="{x + 34:.0f}" y2="58"/>')
        parts.append(_mark(k, x + 17, 58))
        parts.append(_text(x + 42, 62, name, "label"))
        x += 42 + 7.2 * len(name) + 26
    return parts


def _mark(k: int, x: float, y: float) -> str:
    corners = {
        "square": [(-4, -4), (4, -4), (4, 4), (-4, 4)],
        "triangle": [(0, -5), (5, 4), (-5, 4)],
        "diamond": [(0, -6), (6, 0), (0, 6), (-6, 0)],
    }
    if MARKS[k] == "circle":
        return f'<circle class="mark m{k}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
    points = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners[MARKS[k]])
    return f'<polygon class="mark m{k}" points="{points}"/>'


def _text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _style() -> str:
    def colours(ground: str, ink: str, faint: str, grid: str, lines: Sequence[str]) -> str:
        each = "".join(f".s{k}{{stroke:{colour}}}.m{k}{{fill:{colour}}}" for k, colour in enumerate(lines))
        return (
            f".ground{{fill:{ground};stroke:{grid}}}text{{fill:{ink}}}.tick,.note{{fill:{faint}}}"
            f".grid{{stroke:{grid}}}.mark{{stroke:{ground}}}{each}"
        )

    shapes = (
        "text{font-family:system-ui,'Segoe UI',Helvetica,Arial,sans-serif;font-size:13px}"
        ".title{font-size:17px;font-weight:600}.panel{font-weight:600}.tick,.note{font-size:12px}"
        ".line{fill:none;stroke-width:2.5;stroke-linejoin:round}.mark{stroke-width:1.5}"
        + "".join(f".s{k}{{stroke-dasharray:{dash}}}" for k, dash in enumerate(DASHES))
    )
    light = colours("#ffffff", "#1f2937", "#5b6472", "#e3e7ec", LIGHT)
    dark = colours("#12181f", "#e6eaf0", "#a3adba", "#2b3541", DARK)
    return f"{shapes}{light}@media (prefers-color-scheme:dark){{{dark}}}"
