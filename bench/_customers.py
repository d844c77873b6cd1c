"""``python -m bench._customers NUMBER LAST FOLDER``: customers of buckets 0 to LAST order without a pause.

Each notes what it was told had been done, and how long it took. Ends when the folder has a file ``stop``.
"""

import itertools
import json
import os
import random
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

THREADS = 2
THINK_SECONDS = 0.004
SECONDS = 300
LEASE_SECONDS = 1.0


class Customer:
    """One writer with keys of its own, so that it knows what has to be there afterwards."""

    def __init__(self, number: int, last: int) -> None:
        self.chance = random.Random(number)  # noqa: S311
        self.codes = (f"w{number}-{n}" for n in itertools.count())
        self.number, self.last = number, last
        self.orders: dict[int, list[Any]] = {}
        """Id: code, total."""
        self.took: list[tuple[float, float, int]] = []
        """Beginning, seconds, bucket."""
        self.wrong: list[str] = []
        self.rows: Any = import_module("tests.sharding.shop.models").Order.objects

    def write(self) -> None:
        import sharding

        # Among 64 buckets, too, there is somebody all the time.
        bucket = self.chance.randint(0, min(63, self.last) if self.chance.random() < 0.5 else self.last)
        key = 10_000 * (self.number + 1) + bucket
        mine = [id for id in list(self.orders)[-200:] if sharding.bucket_of_id(id) == bucket]
        home = sharding.home("customer", key)
        if mine and self.chance.random() < 0.7:
            id = self.chance.choice(mine)
            total = self.orders[id][1]
            changed = self.timed(bucket, home, lambda: self.rows.filter(pk=id, total=total).update(total=total + 1))
            if changed != 1:
                self.wrong.append(f"order {id} was not at {total}")
            self.orders[id][1] += 1
        else:
            code = next(self.codes)
            id = self.timed(bucket, home, lambda: self.rows.create(customer_id=key, store_id=1, code=code).pk)
            self.orders[id] = [code, 0]

    def timed(self, bucket: int, home: Any, work: Callable[[], int]) -> int:
        import sharding

        began_at, began = time.time(), time.perf_counter()
        done = sharding.run(home, work, retries=10)
        self.took.append((began_at, time.perf_counter() - began, bucket))
        return done


def main() -> None:
    process, last, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    from bench import _shop

    _shop.configure(json.loads(os.environ["BENCH_MOVE"]), WATCH=True, LEASE_SECONDS=LEASE_SECONDS)
    customers = [Customer(process * THREADS + n, last) for n in range(THREADS)]
    until = time.monotonic() + SECONDS

    def work(customer: Customer) -> None:
        from django.db import Error, connections

        while not (folder / "stop").exists() and time.monotonic() < until:
            try:
                customer.write()
            except Error as error:
                customer.wrong.append(repr(error))
            time.sleep(THINK_SECONDS)
        connections.close_all()

    threads = [Thread(target=work, args=[customer]) for customer in customers]
    for thread in threads:
        thread.start()
    (folder / f"{process}.ready").touch()
    for thread in threads:
        thread.join()
    found = [{"orders": c.orders, "took": c.took, "wrong": c.wrong} for c in customers]
    (folder / f"{process}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
