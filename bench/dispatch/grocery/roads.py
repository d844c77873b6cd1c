"""Driving minutes on the real streets: the network of an extract, and the table between the places of a zone."""

import heapq
import math
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path

from bench.dispatch.grocery import osm
from bench.dispatch.grocery.osm import Point
from cython_ext.dispatch.travel import Grid, metres

KMH = {
    "motorway": 95, "motorway_link": 60, "trunk": 75, "trunk_link": 50,
    "primary": 50, "primary_link": 40, "secondary": 45, "secondary_link": 35, "tertiary": 40, "tertiary_link": 30,
    "unclassified": 35, "residential": 30, "living_street": 10,
}  # fmt: skip
"""What a car does there on average by day, signals included: Ohio's limits for such roads (Revised Code 4511.21: 65,
55, 35 and 25 mph) less a fifth to a third, as in the usual routing profiles. Ways of other classes are
no roads for cars, or lead only from a street to a car park."""
LIVED_ON = {"residential", "living_street", "unclassified"}
"""Classes of streets that customers live on."""
MOST_NEIGHBOURS = 4
"""Of a node that gives way to roads past it; beyond that, more roads come than go."""
EARTH_M_PER_DEGREE = math.radians(1) * 6_371_008.8


@dataclass(slots=True)
class Network:
    """Crossings and ends of streets, numbered; ``ahead[a]`` are (b, minutes) of the pieces of road from a to b."""

    points: list[Point] = field(default_factory=list)
    ahead: list[list[tuple[int, float]]] = field(default_factory=list)
    is_lived_on: list[bool] = field(default_factory=list)

    def minutes_from(self, start: int, *, within: float = math.inf) -> dict[int, float]:
        """Quickest minutes to every node within so many (Dijkstra's algorithm)."""
        found: dict[int, float] = {}
        best = {start: 0.0}
        waiting = [(0.0, start)]
        while waiting:
            minutes, here = heapq.heappop(waiting)
            if here in found:
                continue
            found[here] = minutes
            for there, way in self.ahead[here]:
                total = minutes + way
                if total <= within and total < best.get(there, math.inf):
                    best[there] = total
                    heapq.heappush(waiting, (total, there))
        return found

    def between(self, kept: set[int]) -> "Network":
        """The same drives between the nodes kept, over fewer others: a node of a few neighbours gives way to roads
        straight past it. Numbers stay; nodes that are gone have no roads."""
        ahead: list[dict[int, float]] = [{} for _ in self.points]
        back: list[dict[int, float]] = [{} for _ in self.points]

        def join(a: int, b: int, minutes: float) -> None:
            if a != b and minutes < ahead[a].get(b, math.inf):
                ahead[a][b] = back[b][a] = minutes

        for here, pieces in enumerate(self.ahead):
            for there, minutes in pieces:
                join(here, there, minutes)
        waiting = [node for node in range(len(self.points)) if node not in kept]
        while waiting:
            node = waiting.pop()
            around = ahead[node].keys() | back[node].keys()
            if not 0 < len(around) <= MOST_NEIGHBOURS:
                continue
            for a, arriving in back[node].items():
                del ahead[a][node]
                for b, leaving in ahead[node].items():
                    join(a, b, arriving + leaving)
            for b in ahead[node]:
                del back[b][node]
            ahead[node], back[node] = {}, {}
            waiting += around - kept
        return Network(self.points, [list(pieces.items()) for pieces in ahead], self.is_lived_on)

    def nearest(self, place: Point, among: Iterable[int]) -> int:
        return min(among, key=lambda node: metres(place, self.points[node]))

    def two_way(self, start: int) -> set[int]:
        """Nodes one can drive to from there and back from: no one-way trap, no island."""
        back: list[list[tuple[int, float]]] = [[] for _ in self.points]
        for here, pieces in enumerate(self.ahead):
            for there, minutes in pieces:
                back[there].append((here, minutes))
        return self.minutes_from(start).keys() & Network(self.points, back).minutes_from(start).keys()


def network(path: Path) -> Network:
    extract = osm.read(path)
    ways = [way for way in extract.ways if way.tags["highway"] in KMH and _is_open(way.tags)]
    uses = Counter(node for way in ways for node in way.nodes)
    for way in ways:
        uses.update((way.nodes[0], way.nodes[-1]))
    made = Network()
    number: dict[int, int] = {}

    def crossing(node: int) -> int:
        if node not in number:
            number[node] = len(made.points)
            made.points.append(extract.points[node])
            made.ahead.append([])
            made.is_lived_on.append(False)
        return number[node]

    for way in ways:
        forward, backward = _directions(way.tags)
        a_metre = 60 / (1000 * KMH[way.tags["highway"]])
        start, length = crossing(way.nodes[0]), 0.0
        for before, node in zip(way.nodes, way.nodes[1:], strict=False):
            length += metres(extract.points[before], extract.points[node])
            if uses[node] < 2:
                continue
            end = crossing(node)
            if forward:
                made.ahead[start].append((end, length * a_metre))
            if backward:
                made.ahead[end].append((start, length * a_metre))
            if way.tags["highway"] in LIVED_ON:
                made.is_lived_on[start] = made.is_lived_on[end] = True
            start, length = end, 0.0
    return made


def _is_open(tags: dict[str, str]) -> bool:
    return tags.get("access") not in ("no", "private") and tags.get("service") not in ("driveway", "parking_aisle")


def _directions(tags: dict[str, str]) -> tuple[bool, bool]:
    one_way = tags.get("oneway", "")
    if one_way in ("-1", "reverse"):
        return False, True
    is_implied = tags.get("junction") == "roundabout" or tags["highway"] == "motorway"
    is_forward_only = one_way in ("yes", "true", "1") or (is_implied and one_way != "no")
    return True, not is_forward_only


@dataclass(slots=True)
class Table:
    """Minutes between the places of a zone, by their number; also the engine's source of travel times by (lat, lng)."""

    places: list[Point]
    rows: list["array[float]"]
    _number: dict[Point, int] = field(init=False)

    def __post_init__(self) -> None:
        self._number = {place: i for i, place in enumerate(self.places)}

    def minutes(self, a: int, b: int) -> float:
        return self.rows[a][b]

    def grid(self, places: Sequence[Point], now: float) -> Grid:
        """KeyError for a place that is none of the zone's. The plane beside it is the great circle, roughly."""
        numbers = [self._number[place] for place in places]
        matrix = array("f")
        if len(numbers) > 1:
            wanted = itemgetter(*numbers)
            for number in numbers:
                matrix.extend(wanted(self.rows[number]))
        else:
            matrix.extend(self.rows[a][a] for a in numbers)
        east = EARTH_M_PER_DEGREE * math.cos(math.radians(self.places[0][0]))
        x = array("d", [place[1] * east for place in places])
        y = array("d", [place[0] * EARTH_M_PER_DEGREE for place in places])
        return Grid(x, y, speed=600.0, matrix=matrix)


def table(roads: Network, nodes: Sequence[int]) -> Table:
    """Minutes between these nodes. KeyError where one cannot be reached from another."""
    rows = []
    short = roads.between(set(nodes))
    for node in nodes:
        found = short.minutes_from(node)
        rows.append(array("f", [found[other] for other in nodes]))
    return Table([roads.points[node] for node in nodes], rows)
