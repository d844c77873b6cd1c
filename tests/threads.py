"""Real threads for races: all let go at the same moment, each with database connections of its own."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence

from django.db import connections


def at_once(jobs: Sequence[Callable[[], str]]) -> Counter[str]:
    """How often each answer was given; an exception answers with its ``repr``."""
    start = threading.Barrier(len(jobs))
    said: list[str] = []

    def work(job: Callable[[], str]) -> None:
        try:
            start.wait(timeout=30)
            said.append(job())
        except Exception as error:
            said.append(repr(error))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=[job]) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return Counter(said)
