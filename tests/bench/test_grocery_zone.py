"""Streets, drives and baskets of grocery days: read as they are, and reckoned right."""

import random
import zlib
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.dispatch.grocery import baskets, day, osm, roads, zone
from bench.dispatch.grocery.roads import Network
from tests import real_data
from tests.bench import grocery_zone


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def deltas(values: list[int]) -> bytes:
    steps = [b - a for a, b in pairwise([0, *values])]
    return b"".join(varint(step << 1 if step >= 0 else (-step << 1) - 1) for step in steps)


def extract(path: Path, *, packed: bool) -> Path:
    """Three nodes around (40, -83), a street over all of them, and a river."""
    strings = b"".join(field(1, s) for s in (b"", b"highway", b"residential", b"oneway", b"yes", b"waterway", b"river"))
    nodes = field(1, deltas([7, 8, 900])) + field(8, deltas([400_000_000, 400_010_000, 399_990_000]))
    nodes += field(9, deltas([-830_000_000, -830_000_000, -829_900_000]))
    street = field(1, 1) + field(2, b"\x01\x03") + field(3, b"\x02\x04") + field(8, deltas([7, 8, 900]))
    river = field(1, 2) + field(2, b"\x05") + field(3, b"\x06") + field(8, deltas([8, 900]))
    group = field(2, nodes) + field(3, street) + field(3, river)
    block = field(1, strings) + field(2, group)
    blob = field(2, len(block)) + field(3, zlib.compress(block)) if packed else field(1, block)
    data = b""
    for kind, body in ((b"OSMHeader", field(1, b"what it is")), (b"OSMData", blob)):
        head = field(1, kind) + field(3, len(body))
        data += len(head).to_bytes(4, "big") + head + body
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("packed", [True, False])
def test_an_extract_is_read(tmp_path: Path, packed: bool):
    found = osm.read(extract(tmp_path / "small.osm.pbf", packed=packed))
    assert {node: (round(lat, 6), round(lng, 6)) for node, (lat, lng) in found.points.items()} == {
        7: (40.0, -83.0),
        8: (40.001, -83.0),
        900: (39.999, -82.99),
    }
    assert found.ways == [osm.Way((7, 8, 900), {"highway": "residential", "oneway": "yes"})]


def test_another_packing_is_refused(tmp_path: Path):
    body = field(6, b"zstandard")
    head = field(1, b"OSMData") + field(3, len(body))
    (tmp_path / "other.osm.pbf").write_bytes(len(head).to_bytes(4, "big") + head + body)
    with pytest.raises(ValueError, match="write the extract with zlib"):
        osm.read(tmp_path / "other.osm.pbf")


def test_a_one_way_street_is_driven_one_way_at_its_speed(tmp_path: Path):
    made = roads.network(extract(tmp_path / "small.osm.pbf", packed=True))
    assert len(made.points) == 2  # its two ends
    ((end, minutes),) = made.ahead[0]
    metres = roads.metres((40.0, -83.0), (40.001, -83.0)) + roads.metres((40.001, -83.0), (39.999, -82.99))
    assert (end, made.ahead[1]) == (1, [])
    assert minutes == pytest.approx(metres / 1000 / 30 * 60)
    assert made.is_lived_on == [True, True]
    assert made.two_way(0) == {0}


@given(st.integers(0, 10**6))
def test_drives_stay_the_same_over_fewer_nodes(seed: int):
    chance = random.Random(seed)  # noqa: S311 (the same streets every time)
    count = chance.randint(2, 40)
    ahead = [
        [(chance.randrange(count), chance.uniform(0, 9)) for _ in range(chance.randint(0, 3))] for _ in range(count)
    ]
    whole = Network([(0.0, 0.0)] * count, ahead, [True] * count)
    kept = set(chance.sample(range(count), chance.randint(1, count)))
    short = whole.between(kept)
    for node in kept:
        plain = {there: minutes for there, minutes in whole.minutes_from(node).items() if there in kept}
        fewer = {there: minutes for there, minutes in short.minutes_from(node).items() if there in kept}
        assert fewer == pytest.approx(plain)


def test_the_table_answers_the_engine_in_the_order_asked():
    table = grocery_zone.zone().table
    grid = table.grid([table.places[3], table.places[0], table.places[3]], 0.0)
    assert list(grid.matrix) == [0, 4, 0, 4, 0, 4, 0, 4, 0]
    assert list(table.grid([table.places[1]], 0.0).matrix) == [0]
    with pytest.raises(KeyError):
        table.grid([(0.0, 0.0)], 0.0)


def test_lines_a_basket_are_found_through_a_sample():
    chance, seen = random.Random(4), Counter[int]()  # noqa: S311 (the same baskets every time)
    share, mean, shape = 0.1, 9.0, 0.6
    for _ in range(60_000):
        lines = chance.gammavariate(shape, mean / shape) * share
        count, passed = 0, chance.expovariate(1.0)
        while passed < lines:
            count, passed = count + 1, passed + chance.expovariate(1.0)
        seen[count] += 1
    del seen[0]
    assert baskets.fitted(seen, share) == (pytest.approx(mean, rel=0.1), pytest.approx(shape, rel=0.15))


def test_a_sample_of_nothing_but_single_lines_is_refused():
    with pytest.raises(ValueError, match="is the share of seen lines right"):
        baskets.fitted(Counter({1: 100, 2: 1000}), 0.05)


def test_a_day_is_the_same_for_its_seed_and_within_its_limits():
    where = grocery_zone.zone()
    made = day.make(where, seed=5, per_shopper_hour=2.0, shoppers=12)
    assert made == day.make(where, seed=5, per_shopper_hour=2.0, shoppers=12)
    assert made.orders != day.make(where, seed=6, per_shopper_hour=2.0, shoppers=12).orders
    hours = sum(shopper.off - shopper.on for shopper in made.shoppers.values()) / 60
    assert len(made.orders) == round(2 * hours)
    for order in made.orders.values():
        assert order.lines >= baskets.LEAST_LINES
        assert order.units <= day.CAR_UNITS
        assert order.ends - order.starts == (120 if order.is_asap else 60)
        assert order.opens == (order.placed if order.is_asap else max(order.placed, order.starts - 15))
        assert order.store in where.stores
        assert order.door in where.addresses
        assert order.is_asap or order.starts - order.placed >= 60 or order.placed == 0
    assert all(s.off <= day.DAY_ENDS and round(s.off - s.on) in (240, 300, 360) for s in made.shoppers.values())


def test_the_real_zone_has_its_stores_and_no_place_out_of_reach():
    for name in (zone.STREETS, zone.STORES, "completejourney/transactions.csv.gz", "completejourney/products.csv.gz"):
        real_data.file(name)
    where = zone.columbus(addresses=30, folder=real_data.FOLDER)
    assert where.names[:3] == (
        "Kroger, 150 W Sycamore St",
        "Kroger, 1350 N High St",
        "Aldi, 1331 W Mound St",
    )
    assert (len(where.stores), len(where.addresses), len(where.table.places)) == (8, 30, 38)
    assert all(min(where.table.minutes(s, a) for s in where.stores) <= zone.CATCHMENT_MINUTES for a in where.addresses)
    assert max(max(row) for row in where.table.rows) < 40
    assert (len(where.baskets.lines), round(where.baskets.mean_lines, 1)) == (42_469, 6.9)
    assert where.baskets.hours.index(max(where.baskets.hours)) == 17
