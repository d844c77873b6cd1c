"""PostgreSQL servers of a test's own, which it may freeze and kill, under aliases that only it knows."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.apps import apps
from django.db import connections

from deploy.local import faults, postgres
from deploy.local.layout import Layout
from instacart.env import django_database
from sharding import breakers, keys, schema


def folder(name: str) -> Path:
    """Each process of pytest-xdist has folders of its own."""
    return Layout.read().test / "scratch" / os.environ.get("PYTEST_XDIST_WORKER", "gw0") / name


@contextmanager
def server(name: str, *, copy_of: postgres.Server | None = None) -> Iterator[postgres.Server]:
    """An empty server of that name, or a replica; gone afterwards, with its data."""
    left = postgres.Server(directory=folder(name))
    remove(left)
    found = postgres.start(left.directory, durable=False, copy_of=copy_of)
    try:
        yield found
    finally:
        remove(found)


def remove(server: postgres.Server) -> None:
    faults.thaw(server)  # a frozen one does not hear that it shall stop
    server.stop(grace_s=5)
    server.remove()
    server.log.unlink(missing_ok=True)


@contextmanager
def alias(name: str, url: str) -> Iterator[str]:
    """``connections[name]`` for the block, in all threads that close theirs before it ends."""
    described = connections.configure_settings({"default": {}, name: django_database(url)})[name]
    connections.databases[name] = described
    try:
        yield name
    finally:
        connections[name].close()
        del connections[name]
        del connections.databases[name]
        breakers.of(name).succeeded()


def make_shop(alias: str) -> None:
    """The tables of the shop's customers, in an empty database."""
    with connections[alias].schema_editor() as editor:
        for model in apps.get_app_config("shop").get_models():
            declared = keys.shard_key(model)
            if declared is not None and declared.keyspace == "customer" and not model._meta.proxy:
                editor.create_model(model)
    schema.install(connections[alias])


@contextmanager
def at_most(seconds: float, *, tolerance: float = 0.4) -> Iterator[None]:
    """The block must not take longer. The tolerance is for machines on which others work."""
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    assert took <= seconds + tolerance, f"took {took:.2f} s"


def until(holds: Callable[[], bool], *, seconds: float = 5) -> None:
    """Wait until it holds."""
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, "still not so"
        time.sleep(0.02)
