"""A road server on 127.0.0.1 that speaks as Valhalla, OSRM and Google do, and misbehaves when told to."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from cython_ext.dispatch.travel import Point

Seconds = Callable[[Point, Point], float | None]


def seconds(a: Point, b: Point) -> float | None:
    """A made-up way: another one back, and whole seconds."""
    return round(abs(a[0] - b[0]) * 10_000 + abs(a[1] - b[1]) * 20_000) + (60 if a < b else 30 if b < a else 0)


@dataclass(frozen=True)
class Asked:
    path: str
    headers: dict[str, str]
    sources: list[Point]
    targets: list[Point]


@dataclass
class Behaviour:
    seconds: Seconds = seconds
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    """Sent instead of an answer."""
    change: Callable[[object], object] = lambda answer: answer
    delay: float = 0.0
    dripping: float = 0.0
    """Seconds between single bytes."""
    no_road: set[Point] = field(default_factory=set)
    """Places for which a whole request is refused with 400."""


class RoadServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behaviour = Behaviour()
        self.asked: list[Asked] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def sizes(self) -> list[tuple[int, int]]:
        return [(len(asked.sources), len(asked.targets)) for asked in self.asked]


class _Handler(BaseHTTPRequestHandler):
    server: RoadServer

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        found = re.fullmatch(r"/table/v1/driving/([0-9.,;-]+)", parts.path)
        assert found
        places = [(float(lat), float(lng)) for lng, lat in (place.split(",") for place in found[1].split(";"))]
        query = parse_qs(parts.query)
        assert query["annotations"] == ["duration"]
        sources = [places[int(n)] for n in query["sources"][0].split(";")]
        targets = [places[int(n)] for n in query["destinations"][0].split(";")]
        way = self.server.behaviour.seconds
        self._answer(
            sources, targets, lambda: {"code": "Ok", "durations": [[way(a, b) for b in targets] for a in sources]}
        )

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        way = self.server.behaviour.seconds
        if self.path == "/sources_to_targets":
            assert body["costing"] == "auto"
            sources = [(place["lat"], place["lon"]) for place in body["sources"]]
            targets = [(place["lat"], place["lon"]) for place in body["targets"]]
            self._answer(
                sources,
                targets,
                lambda: {
                    "sources_to_targets": [
                        [{"from_index": a, "to_index": b, "time": way(p, q)} for b, q in enumerate(targets)]
                        for a, p in enumerate(sources)
                    ]
                },
            )
            return
        assert self.path == "/distanceMatrix/v2:computeRouteMatrix"
        assert (body["travelMode"], body["routingPreference"]) == ("DRIVE", "TRAFFIC_AWARE")
        sources, targets = ([_of_google(place) for place in body[side]] for side in ("origins", "destinations"))
        self._answer(
            sources,
            targets,
            lambda: [
                _google_pair(a, b, way(p, q))
                for b, q in reversed(list(enumerate(targets)))
                for a, p in enumerate(sources)
            ],
        )

    def _answer(self, sources: list[Point], targets: list[Point], answer: Callable[[], object]) -> None:
        behaviour = self.server.behaviour
        self.server.asked.append(Asked(self.path, dict(self.headers), sources, targets))
        time.sleep(behaviour.delay)
        status = 400 if behaviour.no_road & {*sources, *targets} else behaviour.status
        body = behaviour.raw if behaviour.raw is not None else json.dumps(behaviour.change(answer())).encode()
        try:
            self.send_response(status)
            for name, value in {**behaviour.headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if not behaviour.dripping:
                self.wfile.write(body)
                return
            for byte in body:
                self.wfile.write(bytes([byte]))
                time.sleep(behaviour.dripping)
        except (BrokenPipeError, ConnectionResetError):
            pass  # whoever asked has given up

    def log_message(self, *_: object) -> None: ...


def _of_google(place: dict) -> Point:
    position = place["waypoint"]["location"]["latLng"]
    return position["latitude"], position["longitude"]


def _google_pair(a: int, b: int, seconds: float | None) -> dict[str, object]:
    pair = {"originIndex": a, "destinationIndex": b, "status": {}}
    if seconds is None:
        return pair | {"condition": "ROUTE_NOT_FOUND"}
    return pair | {"condition": "ROUTE_EXISTS", "duration": f"{seconds:g}s"}


@pytest.fixture
def roads() -> Iterator[RoadServer]:
    server = RoadServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
