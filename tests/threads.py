"""Real threads for races: all let go at the same moment, each with database connections of its own."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

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


def answers_at_once(work: Callable[[int], Any], n: int) -> list[Any]:
    """What ``work(0)`` … ``work(n - 1)`` answered, or raised, in threads that all start together."""
    barrier = threading.Barrier(n)
    answers: list[Any] = [None] * n

    def run(i: int) -> None:
        barrier.wait()
        try:
            answers[i] = work(i)
        except Exception as error:  # the test looks at it
            answers[i] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(i,)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
