"""Road servers as planners meet them: what is known, what is asked, and what happens when they misbehave."""

import logging
import math
import socket
import time
from dataclasses import dataclass

import pytest
from django.core.cache import cache
from hypothesis import given
from hypothesis import strategies as st

from apps.dispatch.travel import circuit, configured, filling, pairs, source, tasks
from apps.dispatch.travel.client import Client, Limits, Unanswered
from apps.dispatch.travel.providers import Google, Osrm, Valhalla
from cython_ext.dispatch import engine
from cython_ext.dispatch.travel import Roads
from cython_ext.dispatch.types import Order, Request, Shopper
from tests.dispatch.travel.conftest import RoadServer, seconds

NOON = 12 * 60.0
HOUR = 12
KEY = "AIza-k3-secret-key"
PROVIDERS = {"valhalla": Valhalla, "osrm": Osrm, "google": lambda url: Google(KEY, url)}
SIDES = {"valhalla": 50, "osrm": 50, "google": 25}
every_provider = pytest.mark.parametrize("name", PROVIDERS)


def places(count: int, *, first: int = 0) -> list[tuple[float, float]]:
    """Each in a cell of its own."""
    return [(round(39.9 + n * 0.002, 3), round(-83 + n % 7 * 0.003, 3)) for n in range(first, first + count)]


@dataclass
class Planner:
    """What a zone's planner and a worker do with one server."""

    name: str
    server: RoadServer
    read_seconds: float = 2.0
    budget: filling.Budget = filling.Budget(seconds=5.0, pairs=100_000)  # noqa: RUF009 (frozen)
    known_for: int = 600
    at: float = 1_000_000.0

    def known(self, hour: int = HOUR) -> pairs.Remembered:
        return pairs.Remembered(provider=self.name, hour=hour, seconds=self.known_for, clock=lambda: self.at)

    def grid(self, asked, now=NOON):
        self.lacked: list[tuple[list[int], int]] = []
        roads = source.KnownRoads(Roads(), lambda cells, hour: self.lacked.append((list(cells), hour)), self.known)
        return roads.grid(asked, now)

    def fill(self, cells, hour: int = HOUR) -> filling.Filled:
        limits = Limits(connect_seconds=1.0, read_seconds=self.read_seconds)
        provider = PROVIDERS[self.name](self.server.url)
        return filling.fill(cells, provider=provider, known=self.known(hour), limits=limits, budget=self.budget)

    def learn(self, asked) -> filling.Filled:
        self.grid(asked)
        return self.fill(*self.lacked[0])


def straight(asked, a: int, b: int) -> float:
    grid = Roads().grid(asked, NOON)
    return math.hypot(grid.x[a] - grid.x[b], grid.y[a] - grid.y[b]) / grid.speed


def minutes(grid, count: int) -> list[list[float]]:
    return [list(grid.matrix[a * count : (a + 1) * count]) for a in range(count)]


@every_provider
def test_a_first_plan_has_the_fall_back_and_the_next_one_the_roads(name, roads):
    planner, asked = Planner(name, roads), places(4)
    assert planner.grid(asked) == Roads().grid(asked, NOON)
    assert planner.lacked == [(sorted(pairs.cell(place) for place in asked), HOUR)]
    assert roads.asked == []  # a planner waits for no server
    filled = planner.fill(*planner.lacked[0])
    assert (filled.calls, filled.pairs, filled.left, filled.failure) == (1, 16, 0, "")
    grid = planner.grid(asked)
    assert planner.lacked == []
    expected = [[seconds(p, q) / 60 for q in asked] for p in asked]
    assert minutes(grid, 4) == [pytest.approx(row, rel=1e-6) for row in expected]
    assert grid.matrix[1] != grid.matrix[4]  # there and back are two ways
    assert (grid.x, grid.y) == (Roads().grid(asked, NOON).x, Roads().grid(asked, NOON).y)


@every_provider
def test_blocks_keep_to_the_limit_and_are_put_together_rightly(name, roads):
    planner, asked, side = Planner(name, roads), places(60), SIDES[name]
    filled = planner.learn(asked)
    steps = [min(side, 60 - start) for start in range(0, 60, side)]
    assert sorted(roads.sizes()) == sorted((a, b) for a in steps for b in steps)
    assert (filled.pairs, filled.left) == (3600, 0)
    grid = planner.grid(asked)
    for a, b in ((0, 59), (59, 0), (24, 25), (25, 24), (49, 50), (51, 7)):
        assert grid.matrix[a * 60 + b] == pytest.approx(seconds(asked[a], asked[b]) / 60, rel=1e-6)


@every_provider
def test_only_what_is_new_is_asked(name, roads):
    planner, known = Planner(name, roads), places(6)
    planner.learn(known)
    roads.asked.clear()
    planner.learn([*known, *places(1, first=6)])
    assert sorted(roads.sizes()) == [(1, 7), (6, 1)]


def test_the_engine_plans_by_the_roads_that_are_known(roads):
    store, door, near, far = places(4)
    roads.behaviour.seconds = lambda a, b: 240 if (a, b) == (near, store) else 120
    planner = Planner("valhalla", roads)
    travel = source.KnownRoads(Roads(), lambda cells, hour: planner.fill(cells, hour), planner.known)
    asked = Request(
        now=NOON,
        travel=travel,
        orders=[Order(order_id="o", store_id="s", store=store, door=door, placed=NOON, ready=NOON, due=NOON + 60)],
        shoppers=[
            Shopper(shopper_id=name, at=at, free=NOON, off=NOON + 300) for name, at in (("near", near), ("far", far))
        ],
    )
    engine.plan(asked, iterations=50)
    [batch] = engine.plan(asked, iterations=50).batches
    assert (batch.shopper_id, batch.drive) == ("far", 4.0)  # two minutes to the store, two to the door


def test_known_times_are_of_an_hour_and_pass(roads):
    planner, asked = Planner("valhalla", roads), places(3)
    planner.learn(asked)
    planner.grid(asked, now=13 * 60.0)
    assert planner.lacked == [(sorted(map(pairs.cell, asked)), 13)]
    planner.at += planner.known_for + 1
    assert planner.grid(asked) == Roads().grid(asked, NOON)
    assert len(planner.lacked) == 1


def test_of_the_cells_a_shopper_passes_the_latest_are_kept(monkeypatch, roads):
    monkeypatch.setattr(pairs, "MOST_KEPT", 5)
    known = Planner("osrm", roads).known()
    for first in range(0, 12, 3):
        known.learn({(1, b): float(b) for b in range(first, first + 3)})
    known.learn({(1, 8): 80.0})
    assert known.rows([1]) == {1: {7: 7.0, 9: 9.0, 10: 10.0, 11: 11.0, 8: 80.0}}


def test_each_time_passes_by_itself(roads):
    planner = Planner("osrm", roads)
    planner.known().learn({(1, 2): 3.0})
    planner.at += planner.known_for - 1
    planner.known().learn({(1, 4): 5.0})
    assert planner.known().rows([1, 2]) == {1: {2: 3.0, 4: 5.0}, 2: {}}
    planner.at += 1
    assert planner.known().rows([1, 2]) == {1: {4: 5.0}, 2: {}}


def test_without_a_cache_planning_goes_on(settings, monkeypatch):
    sent = []
    monkeypatch.setattr(tasks.current_app, "send_task", lambda *args, **options: sent.append(args))
    settings.TRAVEL_TIMES, settings.TRAVEL_URL = "osrm", "http://127.0.0.1:1"
    nobody = settings.CACHES["default"] | {"LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {"default": nobody}
    started = time.monotonic()
    assert source.of_zone(7).grid(places(3), NOON) == Roads().grid(places(3), NOON)
    assert time.monotonic() - started < 0.5
    assert sent == []


@every_provider
def test_pairs_without_a_way_have_the_fall_back_and_are_not_asked_again(name, roads):
    planner, asked = Planner(name, roads), places(3)
    island = asked[2]
    roads.behaviour.seconds = lambda a, b: None if (a == island) != (b == island) else seconds(a, b)
    assert planner.learn(asked).left == 0
    grid = planner.grid(asked)
    assert planner.lacked == []
    assert grid.matrix[0 * 3 + 1] == pytest.approx(seconds(asked[0], asked[1]) / 60, rel=1e-6)
    for a, b in ((0, 2), (1, 2), (2, 0), (2, 1)):
        assert grid.matrix[a * 3 + b] == pytest.approx(straight(asked, a, b), rel=1e-6)


@pytest.mark.parametrize("nonsense", [math.nan, math.inf, -5])
@pytest.mark.parametrize("name", ["valhalla", "osrm"])
def test_a_time_that_is_none_is_no_way(name, nonsense, roads):
    planner, asked = Planner(name, roads), places(2)
    roads.behaviour.seconds = lambda a, b: nonsense if a < b else seconds(a, b)
    planner.learn(asked)
    grid = planner.grid(asked)
    assert grid.matrix[1] == pytest.approx(straight(asked, 0, 1), rel=1e-6)
    assert grid.matrix[2] == pytest.approx(seconds(asked[1], asked[0]) / 60, rel=1e-6)


def without_last_row(answer):
    if isinstance(answer, list):
        return [pair | {"status": {"code": 14}} if pair["originIndex"] == 2 else pair for pair in answer]
    name = "durations" if "durations" in answer else "sources_to_targets"
    return answer | {name: answer[name][:-1]}


@every_provider
def test_a_part_of_a_matrix_is_worth_what_it_holds(name, roads):
    planner, asked = Planner(name, roads), places(3)
    roads.behaviour.change = without_last_row
    filled = planner.learn(asked)
    assert (filled.pairs, filled.left, filled.failure) == (6, 2, "")
    grid = planner.grid(asked)
    assert len(planner.lacked) == 1  # the rest is asked for again
    assert grid.matrix[1] == pytest.approx(seconds(asked[0], asked[1]) / 60, rel=1e-6)
    assert grid.matrix[7] == pytest.approx(straight(asked, 2, 1), rel=1e-6)


MALFORMED = [b"", b"{", b"null", b"[[]]", b'"x"', b'{"durations": 3, "code": "Ok"}', b"[" * 100_000, b"\xff\xfe{}"]
MALFORMED += [b'{"code": "Ok", "durations": [["1"]], "sources_to_targets": [[7]]}', b'[{"originIndex": 0, ']


@every_provider
@pytest.mark.parametrize("raw", MALFORMED, ids=range(len(MALFORMED)))
def test_nonsense_is_a_failure_and_nothing_is_learned(name, raw, roads):
    planner, asked = Planner(name, roads), places(3)
    roads.behaviour.raw = raw
    filled = planner.learn(asked)
    assert filled.failure.startswith("malformed answer")
    assert (filled.pairs, filled.left, circuit.is_resting(name)) == (0, 6, True)
    assert planner.grid(asked) == Roads().grid(asked, NOON)


@every_provider
@pytest.mark.parametrize("status", [302, 401, 403, 404, 429, 500, 503])
def test_a_failing_server_is_left_alone(name, status, roads):
    planner, asked = Planner(name, roads), places(60)
    roads.behaviour.status = status
    filled = planner.learn(asked)
    assert (filled.calls, filled.failure, len(roads.asked)) == (1, f"status {status}", 1)
    assert planner.grid(asked) == Roads().grid(asked, NOON)
    roads.behaviour.status = 200
    assert planner.fill(*planner.lacked[0]).calls == 0  # it rests
    cache.delete(circuit._key(name))
    assert planner.fill(*planner.lacked[0]).left == 0


@pytest.mark.parametrize(("said", "seconds"), [("40", 40), ("1", circuit.REST_S), ("99999", 300), ("soon", 15)])
def test_a_server_says_how_long_it_wants_to_rest(said, seconds, roads):
    roads.behaviour.status, roads.behaviour.headers = 429, {"Retry-After": said}
    Planner("osrm", roads).learn(places(2))
    assert seconds - 2 <= cache.ttl(circuit._key("osrm")) <= seconds


@every_provider
def test_what_was_learned_before_a_failure_stays(name, roads):
    planner, asked = Planner(name, roads), places(60)
    roads.behaviour.change = lambda answer: (setattr(roads.behaviour, "status", 500), answer)[1]
    filled = planner.learn(asked)
    assert (filled.calls, filled.failure) == (2, "status 500")
    assert filled.pairs == SIDES[name] ** 2


def test_a_silent_server_costs_the_read_time_and_no_more(roads):
    planner = Planner("valhalla", roads, read_seconds=0.2)
    roads.behaviour.delay = 1.0
    started = time.monotonic()
    assert planner.learn(places(60)).failure == "ReadTimeout"
    assert time.monotonic() - started < 0.8
    assert circuit.is_resting("valhalla")


def test_a_server_that_drips_is_cut_off_as_a_whole(roads):
    planner = Planner("osrm", roads, budget=filling.Budget(seconds=0.3, pairs=1000))
    roads.behaviour.dripping = 0.02
    started = time.monotonic()
    assert planner.learn(places(9)).failure in ("out of time", "ReadTimeout")
    assert time.monotonic() - started < 0.9


def test_nobody_listening(roads):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        client = Client(Valhalla(url), Limits(connect_seconds=0.5, read_seconds=0.5))
        with client, pytest.raises(Unanswered, match=r"^ConnectError$"):
            client.minutes(places(1), places(1), until=time.monotonic() + 1)


def test_an_answer_too_large_is_not_read(roads):
    roads.behaviour.raw = b" " * (8 * 1024 * 1024 + 1)
    assert Planner("osrm", roads).learn(places(2)).failure == "answer too large"


@pytest.mark.parametrize("name", ["valhalla", "osrm"])
def test_a_place_on_no_road_spoils_nothing_but_its_own_pairs(name, roads):
    planner, asked = Planner(name, roads), places(40)
    roads.behaviour.no_road = {asked[17]}
    filled = planner.learn(asked)
    assert (filled.refused, filled.left, filled.failure) == ({pairs.cell(asked[17])}, 0, "")
    assert filled.calls <= 2 + 2 * 6
    grid = planner.grid(asked)
    assert planner.lacked == []
    assert grid.matrix[17 * 40 + 3] == pytest.approx(straight(asked, 17, 3), rel=1e-5)
    assert grid.matrix[16 * 40 + 3] == pytest.approx(seconds(asked[16], asked[3]) / 60, rel=1e-6)


@pytest.mark.parametrize("name", ["valhalla", "osrm"])
def test_a_server_of_another_country_is_not_asked_place_by_place(name, roads):
    planner, asked = Planner(name, roads), places(60)
    roads.behaviour.no_road = set(asked)
    filled = planner.learn(asked)
    assert (filled.failure, filled.pairs) == ("none of its roads are near our places", 0)
    assert filled.calls < 60
    assert circuit.is_resting(name)


def test_google_refusing_a_request_is_our_mistake(roads):
    roads.behaviour.status = 400  # what Google also answers to a wrong key
    filled = Planner("google", roads).learn(places(3))
    assert (filled.calls, filled.failure) == (1, "status 400")


def test_a_fill_costs_no_more_than_its_budget_and_the_next_goes_on(roads):
    planner, asked = Planner("google", roads, budget=filling.Budget(seconds=5.0, pairs=1300)), places(60)
    filled = planner.learn(asked)
    assert (filled.calls, filled.pairs) == (2, 1250)
    while filled.left:
        filled = planner.fill(*planner.lacked[0])
        assert 0 < filled.pairs <= 1300
    assert sum(a * b for a, b in roads.sizes()) == 3600  # no pair was paid for twice
    assert len(roads.asked) == 9


def test_googles_key_is_sent_in_a_header_and_written_nowhere(roads, caplog, settings):
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpx").setLevel(logging.INFO)  # as it would be without our settings
    try:
        planner = Planner("google", roads)
        planner.learn(places(2))
        roads.behaviour.raw = f'"{KEY}"'.encode()
        roads.behaviour.status = 500
        planner.learn(places(3))
    finally:
        logging.getLogger("httpx").setLevel(logging.WARNING)
    sent = roads.asked[0]
    assert sent.headers["X-Goog-Api-Key"] == KEY
    assert sent.headers["X-Goog-FieldMask"] == "originIndex,destinationIndex,status,condition,duration"
    assert KEY not in sent.path
    written = [record.getMessage() + str(record.args) for record in caplog.records]
    assert any("travel.resting provider=google" in line for line in written)
    assert KEY not in "".join(written)
    google = Google(KEY, roads.url)
    assert KEY not in repr(google)
    assert KEY not in repr(google.ask(places(1), places(1)))


def test_places_that_are_none_do_no_harm(roads):
    planner, asked = Planner("valhalla", roads), [*places(3), (math.nan, 0.0), (95.0, 10.0)]
    planner.learn(asked)
    grid = planner.grid(asked)
    assert (len(planner.lacked), len(grid.matrix)) == (0, 25)
    assert grid.matrix[1] == pytest.approx(seconds(asked[0], asked[1]) / 60, rel=1e-6)


def test_few_or_too_many_places_are_the_fall_backs(roads):
    planner = Planner("valhalla", roads)
    for asked in ([], places(1), places(1) * 3, places(source.MOST_PLACES + 1)):
        assert planner.grid(asked) == Roads().grid(asked, NOON)
        assert planner.lacked == []


def test_a_fall_back_with_a_matrix_of_its_own(roads):
    asked = places(3)
    by_zone = Roads(speeds={("north", HOUR): 250.0}, zone_of=lambda place: "north" if place == asked[2] else "")
    planner = Planner("osrm", roads)
    roads.behaviour.change = without_last_row
    planner.learn(asked)
    found = source.KnownRoads(by_zone, lambda cells, hour: None, planner.known).grid(asked, NOON)
    assert (
        found.matrix[2 * 3 + 1]
        == by_zone.grid(asked, NOON).matrix[2 * 3 + 1]
        == pytest.approx(2 * straight(asked, 2, 1), rel=1e-6)
    )
    assert found.matrix[1] == pytest.approx(seconds(asked[0], asked[1]) / 60, rel=1e-6)


def test_the_settings_choose(roads, settings, monkeypatch):
    sent = []
    monkeypatch.setattr(tasks.current_app, "send_task", lambda name, **options: sent.append((name, options)))
    asked = places(3)
    assert isinstance(source.of_zone(7), Roads)
    settings.TRAVEL_TIMES, settings.TRAVEL_URL = "valhalla", roads.url
    assert source.of_zone(7).grid(asked, NOON) == Roads().grid(asked, NOON)
    source.of_zone(7).grid(asked, NOON)  # its task is under way
    [(name, options)] = sent
    assert (name, options["queue"], options["retry"]) == ("dispatch.fill_travel_times", "bulk", False)
    tasks.fill_travel_times(*options["args"])
    assert source.of_zone(7).grid(asked, NOON).matrix[1] == pytest.approx(seconds(asked[0], asked[1]) / 60, rel=1e-6)
    assert len(roads.asked) == 1
    source.of_zone(8).grid(places(2, first=9), NOON)
    assert len(sent) == 2
    circuit.rest("valhalla", reason="a test")
    source.of_zone(9).grid(places(2, first=9), NOON)
    assert len(sent) == 2  # nobody asks a server that rests


def test_a_broker_that_is_away_stops_no_planner(roads, settings, monkeypatch):
    def away(*_: object, **__: object) -> None:
        raise OSError("no broker")

    monkeypatch.setattr(tasks.current_app, "send_task", away)
    settings.TRAVEL_TIMES, settings.TRAVEL_URL = "osrm", roads.url
    assert source.of_zone(7).grid(places(3), NOON) == Roads().grid(places(3), NOON)


def test_a_setting_of_another_name_is_said(settings):
    settings.TRAVEL_TIMES = "crow"
    with pytest.raises(ValueError, match="it is roads, valhalla, osrm or google"):
        configured.provider()


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_a_cell_is_within_its_rounding(lat, lng):
    there = pairs.place(pairs.cell((lat, lng)))
    assert abs(there[0] - lat) <= 0.000501
    assert abs(there[1] - lng) <= 0.000501
    assert pairs.cell(there) == pairs.cell((lat, lng))


cells = st.integers(0, 12)


@given(st.dictionaries(cells, st.frozensets(cells, min_size=1)), st.integers(1, 4))
def test_blocks_hold_each_wanted_pair_once_and_no_other(wanted, side):
    found = [(a, b) for sources, targets in pairs.blocks(wanted, side) for a in sources for b in targets]
    assert sorted(found) == sorted((a, b) for a, targets in wanted.items() for b in targets)
    assert all(len(s) <= side and len(t) <= side for s, t in pairs.blocks(wanted, side))
