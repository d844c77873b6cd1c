"""``./dev bench NAME [--quick]``: run ``bench/NAME.py``, print its figures beside their goals, end with one JSON line.

A benchmark is a module with ``main(quick: bool) -> Report``. The exit code is 1 when a goal is missed.
"""

import argparse
import json
import sys
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.report import Report

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


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev bench")
    parser.add_argument("name", metavar="NAME", choices=names(), help=", ".join(names()))
    parser.add_argument("--quick", action="store_true", help="fewer rounds: for a look, not for the record")
    options = parser.parse_args()
    report: Report = import_module(f"bench.{options.name}").main(quick=options.quick)
    show(report)
    return 0 if report.is_met() else 1


if __name__ == "__main__":
    sys.exit(main())
