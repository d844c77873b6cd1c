"""``./dev test``: every check that must be green before a change is shared, each timed."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local import console, testservers
from deploy.local.layout import ROOT

PROGRAMS = Path(sys.executable).parent
PACKAGES = ("apps", "sharding", "cython_ext", "celery_app", "instacart", "deploy", "bench")
PYTEST = (sys.executable, "-m", "pytest")
SIDE_BY_SIDE = ("-n", "2", "--dist", "loadgroup")
MANAGE = (sys.executable, "manage.py")


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    command: tuple[str, ...]
    environ: dict[str, str] = field(default_factory=dict)
    is_quick: bool = True


def steps(*, fast: bool) -> list[Check]:
    everything = [
        Check("ruff check", (str(PROGRAMS / "ruff"), "check", ".")),
        Check("ruff format", (str(PROGRAMS / "ruff"), "format", "--check", ".")),
        Check("mypy", (str(PROGRAMS / "mypy"), *PACKAGES), is_quick=False),
        Check("imports", (str(PROGRAMS / "lint-imports"), "--config", "tests/architecture/importlinter.ini")),
        Check("django check", (*MANAGE, "check", "--fail-level", "WARNING")),
        Check("migrations", (*MANAGE, "makemigrations", "--check", "--dry-run")),
        Check("safe migrations", (*MANAGE, "shard", "lint")),
        Check(
            "tests",
            (
                *PYTEST,
                "-n",
                "2",
                "--dist",
                "worksteal",
                "-m",
                "not twins and not e2e and not slow" if fast else "not twins",
            ),
        ),
        Check("twins: python", (*PYTEST, *SIDE_BY_SIDE, "-m", "twins"), {"INSTACART_IMPL": "python"}, is_quick=False),
        Check("twins: cython", (*PYTEST, "-m", "twins"), {"INSTACART_IMPL": "cython"}, is_quick=False),
    ]
    return [check for check in everything if check.is_quick or not fast]


def run(arguments: list[str]) -> int:
    """All checks, even after one failed; the worst exit code. With arguments for pytest, only that."""
    fast = "--fast" in arguments
    rest = [argument for argument in arguments if argument != "--fast"]
    todo = [Check("tests", (*PYTEST, *rest))] if rest else steps(fast=fast)
    started = testservers.start()
    testservers.create_databases()
    environ = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    results: list[tuple[Check, int, float]] = []
    try:
        for check in todo:
            console.say(console.paint(f"── {check.name}", console.BOLD))
            began = time.monotonic()
            code = subprocess.run(check.command, cwd=ROOT, env=environ | check.environ, check=False).returncode
            results.append((check, code, time.monotonic() - began))
    finally:
        if started:
            testservers.stop()
    return _summary(results)


def _summary(results: list[tuple[Check, int, float]]) -> int:
    console.say()
    for check, code, seconds in results:
        if code:
            console.failed(f"{check.name} (exit code {code}, {seconds:.1f} s)")
        else:
            console.done(check.name, seconds)
    bad = sum(1 for _, code, _ in results if code)
    total = sum(seconds for _, _, seconds in results)
    verdict = f"{bad} of {len(results)} checks failed" if bad else f"All {len(results)} checks passed"
    console.say(f"{verdict} in {total:.0f} s.")
    return max((abs(code) for _, code, _ in results), default=0)
