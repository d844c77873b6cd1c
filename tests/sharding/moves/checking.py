"""Traffic during moves, and whether anything of it was lost, doubled or misplaced."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.sharding.moves import acts
from tests.sharding.moves.traffic import COUNTERS_CODE, CUSTOMERS
from tests.sharding.moves.world import World

TABLES = {"shop_order": "customer_id", "shop_line": "customer_id", "shop_receipt": "customer_id", "shop_customer": "id"}


@dataclass
class Verdict:
    writes: int = 0
    reads: int = 0
    met_a_move: int = 0
    """Writes that came to a bucket which had moved."""
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    misplaced: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """What writers and readers themselves saw."""

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.misplaced or self.wrong)

    def __str__(self) -> str:
        parts = [f"{self.writes} writes ({self.met_a_move} met a move), {self.reads} reads"]
        for name in ("lost", "doubled", "misplaced", "wrong"):
            found = getattr(self, name)
            parts.append(f"{len(found)} {name}" + "".join(f"\n    {one}" for one in found[:5]))
        return ", ".join(parts)


@contextmanager
def traffic(world: World, folder: Path, *, writers: int = 2, readers: int = 1) -> Iterator[Verdict]:
    """Writers and readers at work for the block; afterwards the verdict is filled in."""
    world.do(acts.fill_for_traffic)
    wanted = [("writer", n) for n in range(writers)] + [("reader", n) for n in range(readers)]
    processes = {
        f"{kind}{n}": world.start(
            "tests.sharding.moves.traffic", kind, str(n), str(writers), str(folder), log=folder / f"{kind}{n}.log"
        )
        for kind, n in wanted
    }
    verdict = Verdict()

    def still_alive() -> None:
        for name, process in processes.items():
            assert process.poll() is None, (folder / f"{name}.log").read_text()

    try:
        until = time.monotonic() + 30
        while len(list(folder.glob("*.ready"))) < len(processes):
            assert time.monotonic() < until, "the traffic does not begin"
            still_alive()
            time.sleep(0.02)
        yield verdict
        still_alive()
    finally:
        (folder / "stop").touch()
        for process in processes.values():
            process.wait(timeout=60)
    _judge(world, {name: json.loads((folder / f"{name}.json").read_text()) for name in processes}, verdict)


def _judge(world: World, findings: dict[str, Any], verdict: Verdict) -> None:
    holders = world.do(acts.holders)
    for name, found in findings.items():
        verdict.wrong += [f"{name}: {one}" for one in found["wrong"]]
        if name.startswith("writer"):
            verdict.writes += found["done"]
            verdict.met_a_move += found["moved"]
        else:
            verdict.reads += found["done"]
    at_home: dict[str, list[tuple[Any, ...]]] = {}
    for table, key in TABLES.items():
        at_home[table] = []
        for alias in ("a", "b", "c"):
            for bucket, *row in world.rows(alias, f"SELECT {key} % 10000, * FROM {table}"):
                if holders["customer"][bucket] == alias:
                    at_home[table].append(tuple(row))
                elif [bucket, alias] not in holders["customer copies"]:
                    verdict.misplaced.append(f"{table} {row} is at {alias}")
    columns = [
        name
        for (name,) in world.rows(
            "a",
            "SELECT attname FROM pg_attribute WHERE attrelid = 'shop_order'::regclass AND attnum > 0 ORDER BY attnum",
        )
    ]
    orders = [dict(zip(columns, row, strict=True)) for row in at_home["shop_order"]]
    for code, times in Counter(f"{order['customer_id']} {order['code']}" for order in orders).items():
        if times > 1:
            verdict.doubled.append(f"order {code} is there {times} times")
    there = {order["id"]: order for order in orders}
    lines = Counter(order for (order,) in _column(world, holders, "shop_line"))
    receipts = Counter(order for (order,) in _column(world, holders, "shop_receipt"))
    expected: set[int] = set()
    for name, found in findings.items():
        if not name.startswith("writer"):
            continue
        for id, (_, code, total, count) in ((int(id), row) for id, row in found["orders"].items()):
            expected.add(id)
            if id not in there:
                verdict.lost.append(f"{name}: order {id} {code}")
            elif there[id]["total"] != total:
                verdict.lost.append(f"{name}: order {id} {code} is at {there[id]['total']}, not {total}")
            elif (lines[id], receipts[id]) != (count, 1):
                verdict.lost.append(f"{name}: order {id} has {lines[id]} lines and {receipts[id]} receipts")
        counters = {order["customer_id"]: order for order in orders if order["code"] == COUNTERS_CODE}
        for key, total in found["counters"].items():
            if counters[int(key)]["total"] != total:
                verdict.lost.append(f"{name}: counter {key} is at {counters[int(key)]['total']}, not {total}")
            expected.add(counters[int(key)]["id"])
        for key, on_hand in found["stock"].items():
            alias = holders["store"][int(key) % 10000]
            ((is_there,),) = world.rows(alias, "SELECT on_hand FROM shop_stock WHERE store_id = %s", int(key))
            if is_there != on_hand:
                verdict.lost.append(f"{name}: stock {key} is at {is_there}, not {on_hand}")
    verdict.doubled += [f"order {id} {there[id]['code']} was deleted, or never made" for id in there.keys() - expected]
    if len(at_home["shop_customer"]) != len(CUSTOMERS):
        verdict.lost.append(f"{len(at_home['shop_customer'])} of {len(CUSTOMERS)} customers are there")


def _column(world: World, holders: dict[str, Any], table: str) -> list[tuple[int]]:
    found: list[tuple[int]] = []
    for alias in ("a", "b", "c"):
        for order, bucket in world.rows(alias, f"SELECT order_id, customer_id % 10000 FROM {table}"):
            if holders["customer"][bucket] == alias:
                found.append((order,))
    return found
