"""``python -m tests.sharding.moves.traffic writer|reader NUMBER FOLDER``: what goes on while buckets move.

A writer keeps a ledger of what it was told had been done, and checks with each write that what it wrote before is still
there. Those with odd numbers are deaf to NOTIFY: they learn of a new map when a database sends them away, or when their
lease is nearly over. A reader keeps looking at all shards by one map, and at values that only grow. Both stop when the
folder has a file ``stop``, and leave their findings there.
"""

import itertools
import json
import random
import sys
import time
from pathlib import Path
from typing import Any

import django
from django.db import Error, connections

SECONDS = 3600
THINK_SECONDS = 0.004
PATIENCE = 30.0
CUSTOMERS = tuple(range(1, 10_000, 83))
"""All of them, over all buckets; each writer writes those that are its own."""
COUNTERS_CODE = "counter"


class Writer:
    def __init__(self, number: int, writers: int) -> None:
        import sharding
        from sharding import topology
        from tests.sharding.shop.models import Line, Order, Receipt, Stock

        self.sharding, self.topology = sharding, topology
        self.Order, self.Line, self.Receipt, self.Stock = Order, Line, Receipt, Stock
        self.chance = random.Random(number)
        self.codes = (f"w{number}-{n}" for n in itertools.count())
        self.customers = [key for n, key in enumerate(CUSTOMERS) if n % writers == number]
        self.orders: dict[int, list[Any]] = {}  # id: customer, code, total, lines
        self.stock = dict.fromkeys(self.customers, 1_000_000)
        self.counters = dict.fromkeys(self.customers, 0)
        self.wrong: list[str] = []
        self.moved = self.done = 0
        self.slowest = 0.0
        self._count_refusals()

    def _count_refusals(self) -> None:
        from sharding import leases

        follow = leases.moved

        def counted(alias: str, *, seen: Any) -> Any:
            self.moved += 1
            return follow(alias, seen=seen)

        leases.moved = counted

    def step(self) -> None:
        action = self.chance.choice(
            [self.insert, self.insert, self.change, self.change, self.change, self.delete, self.sell]
        )
        began = time.monotonic()
        action()
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.done += 1

    def insert(self) -> None:
        customer, code = self.chance.choice(self.customers), next(self.codes)

        def work() -> int:
            order = self.Order.objects.create(customer_id=customer, code=code, store_id=1)
            for _ in range(2):
                self.Line.objects.create(customer_id=customer, order_id=order.pk)
            self.Receipt.objects.create(order_id=order.pk, customer_id=customer, text=code)
            return order.pk

        self.orders[self.commit("customer", customer, work)] = [customer, code, 0, 2]

    def change(self) -> None:
        """The next value of the customer's counter, and of an order; each only after the one before it."""
        key = self.chance.choice(self.customers)
        mine = [id for id, (customer, *_) in self.orders.items() if customer == key]
        id = self.chance.choice(mine) if mine else None
        before = self.counters[key]

        def work() -> tuple[int, int]:
            counter = self.Order.objects.filter(customer_id=key, code=COUNTERS_CODE, total=before).update(
                total=before + 1
            )
            if id is None:
                return counter, 1
            total = self.orders[id][2]
            return counter, self.Order.objects.filter(pk=id, total=total).update(total=total + 1)

        if self.commit("customer", key, work) != (1, 1):
            self.wrong.append(f"customer {key}: what was written before is not there")
        self.counters[key] += 1
        if id is not None:
            self.orders[id][2] += 1

    def delete(self) -> None:
        if not self.orders:
            return
        id = self.chance.choice(list(self.orders))
        customer = self.orders[id][0]

        def work() -> list[int]:
            return [
                self.Line.objects.filter(order_id=id).delete()[0],
                self.Receipt.objects.filter(pk=id).delete()[0],
                self.Order.objects.filter(pk=id, customer_id=customer).delete()[0],
            ]

        if self.commit("customer", customer, work) != [2, 1, 1]:
            self.wrong.append(f"order {id}: not all of it was there to delete")
        del self.orders[id]

    def sell(self) -> None:
        store = self.chance.choice(self.customers)
        before = self.stock[store]

        def work() -> int:
            return self.Stock.objects.filter(store_id=store, product_id=1, on_hand=before).update(on_hand=before - 1)

        if self.commit("store", store, work) != 1:
            self.wrong.append(f"store {store}: what was written before is not there")
        self.stock[store] -= 1

    def commit(self, keyspace: str, key: int, work: Any) -> Any:
        home = self.sharding.home(keyspace, key)
        level = self.chance.choice(["READ COMMITTED"] * 4 + ["REPEATABLE READ"])

        def isolated() -> Any:
            if level != "READ COMMITTED":
                with connections[home.alias].cursor() as cursor:
                    cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
                    cursor.execute("SELECT count(*) FROM shop_store")  # its snapshot is older than its writes
                time.sleep(0.001)
            return work()

        until = time.monotonic() + PATIENCE
        while True:
            try:
                return self.sharding.run(home, isolated)
            except self.sharding.BucketMoved:
                if time.monotonic() > until:
                    self.wrong.append(f"{keyspace} {key} could not be written for {PATIENCE:.0f} s")
                    raise
                time.sleep(0.005)
            except (self.sharding.CrossShardQuery, self.sharding.CrossShardTransaction):
                # The map became newer between two statements of one transaction, and the second would go elsewhere.
                if time.monotonic() > until:
                    raise

    def findings(self) -> dict[str, Any]:
        return {
            "orders": self.orders,
            "stock": self.stock,
            "counters": self.counters,
            "wrong": self.wrong,
            "done": self.done,
            "moved": self.moved,
            "slowest": self.slowest,
        }


class Reader:
    def __init__(self) -> None:
        from sharding import topology
        from sharding.errors import BucketMoved
        from tests.sharding.shop.models import Order

        self.topology, self.BucketMoved, self.Order = topology, BucketMoved, Order
        self.seen: dict[int, int] = {}
        self.wrong: list[str] = []
        self.done = self.moved = 0

    def step(self) -> None:
        try:
            rows = self.merged() if self.done % 2 else self.read()
        except self.BucketMoved:
            self.moved += 1
            return
        customers = [customer for customer, _ in rows]
        if sorted(customers) != sorted(CUSTOMERS):
            twice = {key for key in customers if customers.count(key) > 1}
            self.wrong.append(f"twice: {sorted(twice)}, never: {sorted(set(CUSTOMERS) - set(customers))}")
        for customer, total in rows:
            if total < self.seen.get(customer, 0):
                self.wrong.append(f"customer {customer}: {total} after {self.seen[customer]}")
            self.seen[customer] = total
        self.done += 1

    def merged(self) -> list[tuple[int, int]]:
        found = self.Order.objects.scatter().filter(code=COUNTERS_CODE)
        return list(found.values_list("customer_id", "total"))

    def read(self) -> list[tuple[int, int]]:
        """One row of each customer, from all shards by one map."""
        keyspace = self.topology.keyspace("customer")
        rows: list[tuple[int, int]] = []
        for alias in keyspace.databases:
            ranges = keyspace.only(alias)
            narrowed = ""
            if ranges is not None:
                parts = [f"customer_id % 10000 BETWEEN {first} AND {last}" for first, last in ranges]
                narrowed = f" AND ({' OR '.join(parts) or 'false'})"
            with connections[alias].cursor() as cursor:
                cursor.execute(f"SELECT customer_id, total FROM shop_order WHERE code = '{COUNTERS_CODE}'{narrowed}")
                rows += cursor.fetchall()
        return rows

    def findings(self) -> dict[str, Any]:
        return {"wrong": self.wrong, "done": self.done, "moved": self.moved}


def deafen() -> None:
    """Let this process look at the map as seldom as its lease allows, unless it is told by a refusal."""
    from sharding import leases

    def rest(watcher: Any, connection: Any, seconds: float) -> None:
        until = time.monotonic() + 3 * seconds * 0.9
        while time.monotonic() < until and not watcher._poked and not watcher._stopped:
            time.sleep(0.005)

    leases.Watcher._rest = rest  # type: ignore[method-assign]


def main() -> None:
    kind, number, writers, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    django.setup()
    if number % 2:
        deafen()
    actor = Writer(number, writers) if kind == "writer" else Reader()
    (folder / f"{kind}{number}.ready").touch()
    until = time.monotonic() + SECONDS
    while not (folder / "stop").exists() and time.monotonic() < until:
        try:
            actor.step()
        except Error as error:
            actor.wrong.append(repr(error))
        time.sleep(THINK_SECONDS)
    (folder / f"{kind}{number}.json").write_text(json.dumps(actor.findings()))


if __name__ == "__main__":
    main()
