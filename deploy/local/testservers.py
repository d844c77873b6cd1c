"""Two PostgreSQL servers and a Redis for the tests, under ``var/test/``; fast, because they need not survive a crash.

Their addresses are known before they run, so settings can be read first. ``start`` adopts servers that are at work:
test processes side by side share them, and ``./dev test`` starts them once for all its steps.
"""

import fcntl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from deploy.local import postgres, redis
from deploy.local.layout import Layout

SHARDS = 2
"""Databases of each keyspace. One would hide what a forgotten key breaks."""
KEYSPACES = ("customer", "store", "shopper")


def _servers() -> list[postgres.Server]:
    return [postgres.Server(directory=Layout.read().test / "postgres" / str(n)) for n in range(SHARDS)]


def _redis() -> redis.Server:
    return redis.Server(directory=Layout.read().test / "redis")


def environment() -> dict[str, str]:
    """What tells the project to use these servers. Django adds ``test_`` (and the worker's name) to each database."""
    servers = _servers()
    urls = [f"default={servers[0].url('global')}"]
    urls += [
        f"{keyspace}_{n}={server.url(f'{keyspace}_{n}')}" for keyspace in KEYSPACES for n, server in enumerate(servers)
    ]
    return {"DATABASE_URLS": ",".join(urls), "REDIS_URL": _redis().url()}


def _all() -> list[postgres.Server | redis.Server]:
    return [*_servers(), _redis()]


def start() -> bool:
    """Have all of them at work; True when this call started any, and its caller is the one to ``stop`` them."""
    with _alone():
        if all(server.is_ready() for server in _all()):
            return False
        with ThreadPoolExecutor(SHARDS) as pool:
            started = [pool.submit(postgres.start, server.directory, durable=False) for server in _servers()]
            redis.start(_redis().directory, durable=False)
            for future in started:
                future.result()
        return True


def create_databases() -> None:
    """The plain databases, empty: Django's own checks look into them, the tests make theirs beside them."""
    for n, server in enumerate(_servers()):
        for name in ["global"] * (n == 0) + [f"{keyspace}_{n}" for keyspace in KEYSPACES]:
            postgres.ensure_database(server, name)


def stop() -> None:
    with _alone():
        for server in _all():
            server.stop()


def is_running() -> bool:
    return any(server.identity() for server in _all())


@contextmanager
def _alone() -> Iterator[None]:
    folder = Layout.read().test
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
