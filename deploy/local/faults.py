"""What happens to PostgreSQL servers, done to one of our own: frozen, thawed, killed. For tests and benchmarks."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from deploy.local import postgres, trees


def freeze(server: postgres.Server) -> None:
    """Stop all its processes where they are: it accepts connections, says nothing and notices nothing."""
    family = _family(server)
    while True:
        for one in family:
            trees.send(one, signal.SIGSTOP)
        grown = _family(server)  # somebody was being let in
        if grown == family:
            return
        family = grown


def thaw(server: postgres.Server) -> None:
    for one in _family(server):
        trees.send(one, signal.SIGCONT)


@contextmanager
def frozen(server: postgres.Server) -> Iterator[None]:
    freeze(server)
    try:
        yield
    finally:
        thaw(server)


def kill(server: postgres.Server) -> None:
    """End all its processes at once, as when the machine loses power. ``postgres.start`` recovers it."""
    trees.kill(_family(server))


def _family(server: postgres.Server) -> set[trees.Identity]:
    root = server.identity()
    return {root} | trees.descendants(root) if root else set()
