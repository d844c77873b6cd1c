"""A process that migrates and is killed in the middle. Started by ``multiprocessing``'s forkserver, which imports this
module once: each process begins with Django ready and without any thread."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from multiprocessing import get_context
from typing import Any

import django
from django.apps import apps

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
if not apps.ready:
    django.setup()

from django.conf import settings
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from sharding import statements

MODULE = __name__
START_SECONDS = 60


def run(
    job: Callable[..., object], *arguments: object, modules: Mapping[str, str], folder: str, moment: int | None
) -> tuple[int, int]:
    """``job(*arguments)`` in a process of its own, on the databases of this one, killed at its statement or COMMIT
    number ``moment``; ``(exit code, how many there were)``."""
    context = get_context("forkserver")
    context.set_forkserver_preload([MODULE])
    counter = context.Value("i", 0)
    names = {alias: connections[alias].settings_dict["NAME"] for alias in connections}
    process = context.Process(target=_run, args=(job, arguments, names, dict(modules), folder, moment, counter))
    process.start()
    process.join(timeout=START_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
        raise AssertionError(f"still at work after {START_SECONDS} s")
    return int(process.exitcode or 0), int(counter.value)


def start(job: Callable[..., object], *arguments: object, modules: Mapping[str, str], folder: str) -> Any:
    """The same, left alone: the process, to be killed by the caller."""
    context = get_context("forkserver")
    context.set_forkserver_preload([MODULE])
    names = {alias: connections[alias].settings_dict["NAME"] for alias in connections}
    counter = context.Value("i", 0)
    process = context.Process(target=_run, args=(job, arguments, names, dict(modules), folder, None, counter))
    process.start()
    process.counter = counter  # type: ignore[attr-defined]  # it would be gone before the process has it
    return process


def _run(
    job: Callable[..., object],
    arguments: tuple[object, ...],
    names: dict[str, str],
    modules: dict[str, str],
    folder: str,
    moment: int | None,
    counter: Any,
) -> None:
    sys.path.insert(0, folder)
    settings.MIGRATION_MODULES = modules
    for alias, name in names.items():
        settings.DATABASES[alias]["NAME"] = name
        connections[alias].settings_dict["NAME"] = name
    alone = threading.Lock()

    def count(*_: object) -> None:
        with alone:
            counter.value += 1
            if counter.value == moment:
                os.kill(os.getpid(), signal.SIGKILL)

    commit = BaseDatabaseWrapper._commit

    def counted_commit(self: BaseDatabaseWrapper) -> None:
        count()
        commit(self)

    BaseDatabaseWrapper._commit = counted_commit  # type: ignore[method-assign]
    statements.observers.append(count)
    job(*arguments)
