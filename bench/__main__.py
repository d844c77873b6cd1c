"""``./dev bench NAME [--quick]``: run ``bench/NAME.py``, print its figures beside their goals, end with one JSON line.

A benchmark is a module with ``main(quick: bool) -> Report``. The exit code is 1 when a goal is missed.
"""

import argparse
import json
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.report import Report, machine

NOT_BENCHMARKS = {"__init__", "__main__", "report"}


def names() -> list[str]:
    folder = Path(__file__).parent
    modules = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    return sorted(name for name in modules - NOT_BENCHMARKS if not name.startswith("_"))


def show(report: Report) -> None:
    table = Table("figure", "measured", "goal", "", title=report.bench)
    for figure in report.figures:
        verdict = "" if not figure.goal() else ("met" if figure.is_met() else "MISSED")
        table.add_row(figure.name, f"{figure.shown()} {figure.unit}", figure.goal(), verdict)
    Console().print(table)
    print(json.dumps(report.as_json()))


def write(report: Report, page: Path) -> None:
    """Put the figures where the page has a place for them, ``<!-- bench:NAME -->`` to ``<!-- /bench:NAME -->``, and
    pictures into the files that the page shows.
    """
    begin, end = (f"<!-- {slash}bench:{report.bench} -->" for slash in ("", "/"))
    before, found, rest = page.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"{page} has no place for {report.bench}: put {begin} and {end} where its figures belong")
    lines = ["| figure | measured | goal |", "|---|---|---|"]
    lines += [f"| {one.name} | {one.shown()} {one.unit} | {one.goal()} |" for one in report.figures]
    taken = f"{datetime.now(UTC):%Y-%m-%d}, {machine()}"
    below = [report.below, ""] if report.below else []
    page.write_text("\n".join([before + begin, *lines, "", *below, f"*{taken}*", end + after]))
    for name, text in report.pictures.items():
        (page.parent / name).write_text(text)


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev bench")
    parser.add_argument("name", metavar="NAME", choices=names(), help=", ".join(names()))
    parser.add_argument("--quick", action="store_true", help="fewer rounds: for a look, not for the record")
    parser.add_argument("--into", type=Path, metavar="PAGE", help="write the figures into this Markdown page as well")
    options = parser.parse_args()
    report: Report = import_module(f"bench.{options.name}").main(quick=options.quick)
    show(report)
    if options.into and not report.figures:
        print(f"nothing was measured; {options.into} stays as it is")
    elif options.into:
        write(report, options.into)
    return 0 if report.is_met() else 1


if __name__ == "__main__":
    sys.exit(main())
