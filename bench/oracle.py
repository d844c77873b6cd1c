"""Are the answers of three shards those of one database that holds everything?

Random programs, reads and writes, as in ``tests/sharding/oracle``: each compared with plain Django on one database, in
as many processes as there are cores, every other one with rows left lying where a move took them from. Then the
mistakes that are planted into the library, each of which must be noticed.
"""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from importlib import import_module
from typing import Any

from bench import _shop
from bench.report import Figure, Report

EXAMPLES = 100_000
QUICK_EXAMPLES = 8_000
PROCESSES = max(2, os.cpu_count() or 1)
SEEDS_EACH = 100_000_000
"""Programs of different processes, and those of the tests, are different ones."""


def main(*, quick: bool) -> Report:
    examples = QUICK_EXAMPLES if quick else EXAMPLES
    with _shop.server("oracle") as server:
        urls = _shop.urls(server, 1)
        _configure(urls)
        began = time.perf_counter()
        command = [sys.executable, "-m", "bench.oracle", json.dumps(urls), str(-(-examples // PROCESSES))]
        processes = [
            subprocess.Popen([*command, str(n)], stdout=subprocess.PIPE, text=True) for n in range(1, PROCESSES + 1)
        ]
        said = [process.communicate()[0] for process in processes]
        seconds = time.perf_counter() - began
        if any(process.returncode for process in processes):
            raise RuntimeError("a process of the oracle failed; what it said is above")
        verdicts: Counter[str] = sum((Counter(json.loads(each)) for each in said), Counter())
        noticed, planted = _noticed()
    total = verdicts.total()
    return Report(
        bench="oracle",
        figures=(
            Figure(name="examples", value=total, unit="", at_least=examples),
            Figure(name="wrong", value=verdicts["wrong"], unit="", at_most=0),
            Figure(name="refused", value=100 * verdicts["refused"] / total, unit="%"),
            Figure(name="examples a second", value=total / seconds, unit=""),
            Figure(name="planted mistakes noticed", value=noticed, unit=f"of {planted}", at_least=planted),
        ),
    )


def _configure(urls: dict[str, str]) -> None:
    _shop.configure(urls)
    from sharding import migrating

    for progress in migrating.migrate(migrating.groups()).values():
        if progress.error is not None:
            raise progress.error
    from django.db import connections

    connections.close_all()


def _noticed() -> tuple[int, int]:
    mistakes = _tests("planted").MISTAKES
    with _tests("world").opened() as opened:
        return sum(mistake.is_noticed(opened) for mistake in mistakes), len(mistakes)


def _sweep(urls: dict[str, str], examples: int, process: int) -> None:
    _shop.configure(urls)
    with _tests("world").opened(with_copies=process % 2 == 0) as opened:
        tally = _tests("sweep").sweep(opened, examples=examples, first_seed=process * SEEDS_EACH)
    print(tally.table(), *tally.wrong, sep="\n\n", file=sys.stderr)
    print(json.dumps({verdict: tally.total(verdict) for verdict in ("equal", "refused", "wrong")}))


def _tests(name: str) -> Any:
    """A module of the tests' oracle; its models need Django to be configured."""
    return import_module(f"tests.sharding.oracle.{name}")


if __name__ == "__main__":
    _sweep(json.loads(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
