"""Whether a kernel lets other threads run."""

import threading
import time
from collections.abc import Callable


def ticks_during(work: Callable[[], object]) -> int:
    """How often another thread, which wakes every half millisecond, ran while ``work()`` did."""
    ticks: list[float] = []
    done = threading.Event()

    def tick() -> None:
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.0005)

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        began = time.perf_counter()
        work()
        ended = time.perf_counter()
    finally:
        done.set()
        thread.join()
    return sum(began < moment < ended for moment in ticks)
