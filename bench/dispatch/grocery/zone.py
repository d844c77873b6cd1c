"""The zone that the days are in: real grocery stores of Columbus, Ohio, addresses on its streets, and all drives
between them. Made once, used by every day.
"""

import csv
import os
import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.dispatch.grocery import baskets, roads
from bench.dispatch.grocery.baskets import Baskets
from bench.dispatch.grocery.roads import Table
from cython_ext.dispatch.travel import metres

DATA = Path(os.environ.get("INSTACART_SHARED", Path(__file__).parents[4] / "shared")) / "data"
STREETS, STORES, BASKETS = "osm_streets/columbus.osm.pbf", "stores_us/stores_columbus_oh.csv", "completejourney"

MIDDLE = (39.968, -83.001)
"""Of the extract: downtown and the university."""
STORE_COUNT = 8
"""The nearest ones to the middle: a zone that a shopper crosses in 20 minutes."""
POPULARITY = {"KROGER": 3.0, "ALDI": 1.0, "Trader Joe's": 1.0, "Costco": 2.0}
"""The chains that sell a week's groceries. How orders are shared among them is a guess: by the size of their shops."""
CATCHMENT_MINUTES = 9.0
"""Customers live no farther from some store of the zone: four miles of city streets."""
ADDRESSES = 800
SEED = 1


@dataclass(frozen=True, slots=True)
class Zone:
    """Places are numbers in ``table``: first the stores, then the addresses. ``popularity`` is by store."""

    table: Table
    popularity: tuple[float, ...]
    names: tuple[str, ...]
    baskets: Baskets

    @property
    def stores(self) -> range:
        return range(len(self.names))

    @property
    def addresses(self) -> range:
        return range(len(self.names), len(self.table.places))


def is_present() -> bool:
    missing = [name for name in (STREETS, STORES, f"{BASKETS}/transactions.csv.gz") if not (DATA / name).is_file()]
    for name in missing:
        print(f"NO REAL DATA: {DATA / name} is missing; set INSTACART_SHARED to the folder that has data/{name}")
    return not missing


@cache
def columbus(*, stores: int = STORE_COUNT, addresses: int = ADDRESSES, folder: Path = DATA) -> Zone:
    """A few seconds for 800 addresses, most of them for the drives. FileNotFoundError without the data."""
    streets = roads.network(folder / STREETS)
    usable = streets.two_way(streets.nearest(MIDDLE, range(len(streets.points))))
    shops = _shops(folder / STORES)[:stores]
    doors = [streets.nearest((float(shop["lat"]), float(shop["lon"])), usable) for shop in shops]
    near = set[int]().union(*(streets.minutes_from(door, within=CATCHMENT_MINUTES) for door in doors))
    lived_on = sorted(node for node in near & usable - set(doors) if streets.is_lived_on[node])
    chance = random.Random(SEED)  # noqa: S311 (the same zone every time)
    return Zone(
        table=roads.table(streets, doors + chance.sample(lived_on, addresses)),
        popularity=tuple(POPULARITY[shop["chain"]] for shop in shops),
        names=tuple(f"{shop['chain'].title()}, {shop['address']}" for shop in shops),
        baskets=baskets.read(folder / BASKETS),
    )


def _shops(path: Path) -> list[dict[str, str]]:
    """The nearest to the middle first; of two at one point, one."""
    with path.open() as file:
        points = {(row["lat"], row["lon"]): row for row in csv.DictReader(file) if row["chain"] in POPULARITY}
    return sorted(points.values(), key=lambda shop: metres(MIDDLE, (float(shop["lat"]), float(shop["lon"]))))
