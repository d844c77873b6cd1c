"""A whole installation for a benchmark, on servers and a port of its own, and a market in it: zones, stores, shoppers.

What runs is what ``./dev up`` runs, from the same table and under the same supervisor: PostgreSQL and Redis that wait
for the disk, migrated databases, uWSGI, Celery's workers and beat. Payments, WebSockets and the demo are left out.
"""

import json
import math
import os
import random
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import psutil

from deploy.local import processes, state, trees
from deploy.local.installation import Installation
from deploy.local.layout import ROOT, Layout
from deploy.local.processes import Process, Step
from deploy.local.supervisor import Supervisor

if TYPE_CHECKING:
    from apps.common.geo import Point

LEFT_OUT = frozenset({"payments-sandbox", "websockets", "collectstatic"})
READY_WITHIN_S = 240
STOPPED_WITHIN_S = 60
KM_PER_DEGREE = 111.0
WINDOW = timedelta(hours=2)


class NotReady(RuntimeError):
    """Something did not start; the message says what, and where to look."""


@dataclass(frozen=True, slots=True)
class Running:
    """An installation at work, and what can be done to its processes."""

    installation: Installation
    supervisor: Supervisor

    @property
    def url(self) -> str:
        return self.installation.environ["PUBLIC_URL"]

    def identity(self, name: str) -> trees.Identity:
        found = self.supervisor.children[name].identity
        if found is None:
            raise NotReady(f"{name} is not running; look at {self.installation.layout.log}")
        return found

    def planner(self) -> str:
        """The name of the worker that plans."""
        return next(name for name, child in self.supervisor.children.items() if _serves(child.entry, "dispatch"))

    def processor_s(self) -> dict[str, float]:
        """Seconds of processor time that each process and its descendants have taken so far."""
        found = {}
        for name, child in self.supervisor.children.items():
            if isinstance(child.entry, Process) and child.identity:
                found[name] = sum(map(_seconds, {child.identity} | trees.descendants(child.identity)))
        return found

    def kill(self, name: str) -> None:
        """SIGKILL, to it alone: what it leaves behind is for the supervisor, as is starting it again."""
        trees.kill([self.identity(name)])

    def kill_redis(self) -> None:
        """And with it everything it knew, also what it had written to the disk."""
        if (server := self.installation.redis) is None:
            raise NotReady("Redis is somebody else's: unset REDIS_URL")
        self.kill("redis")
        for left in server.directory.iterdir():  # the supervisor waits longer than that before it starts it again
            shutil.rmtree(left) if left.is_dir() else left.unlink()

    @contextmanager
    def second_planner(self) -> Iterator[None]:
        """One more beat and one more worker that plans, while the block lasts."""
        layout = self.installation.layout
        renamed = {str(layout.run / "beat"): str(layout.run / "beat-second"), f"{self.planner()}@%h": "second@%h"}
        started = [
            trees.spawn(
                [renamed.get(part, part) for part in self.supervisor.children[name].entry.command],
                cwd=ROOT,
                log=layout.log / f"{name}-second.log",
                environ=self.supervisor.environ,
            )
            for name in ("beat", self.planner())
        ]
        try:
            yield
        finally:
            for one in started:
                trees.stop(one)


@contextmanager
def installation(name: str, *, leave_out: frozenset[str] = LEFT_OUT, web: tuple[str, ...] = ()) -> Iterator[Running]:
    """Started with new databases, and everything of it gone afterwards. Django is set up for it in this process.

    ``web`` are more arguments for uWSGI.
    """
    var = Layout.read().var / "bench" / name
    shutil.rmtree(var, ignore_errors=True)
    found = Installation.read(_environ(var))
    found.layout.make()
    supervisor = Supervisor(_table(found, leave_out, web), found.layout, found.environ)
    thread = Thread(target=supervisor.run)
    thread.start()
    try:
        _wait_until_ready(supervisor, found.layout)
        os.environ.update(found.environ, DJANGO_SETTINGS_MODULE="instacart.settings", LOG_LEVEL="ERROR")
        import django

        django.setup()
        yield Running(found, supervisor)
    finally:
        _leave()
        supervisor.stop()
        thread.join(STOPPED_WITHIN_S)
        for server in found.servers():
            server.remove()
        shutil.rmtree(var, ignore_errors=True)


def _leave() -> None:
    """Nobody here asks for databases that are about to end."""
    from django.conf import settings

    if settings.configured:
        from django.db import connections

        from sharding import leases

        connections.close_all()
        leases.stop()


def _environ(var: Path) -> dict[str, str]:
    """Nothing that was set for another installation counts here."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "INSTACART_IMPL") if name in os.environ}
    ports = {name: str(_free_port()) for name in ("PORT", "WS_PORT", "SANDBOX_PORT")}
    return {**kept, **ports, "INSTACART_VAR": str(var), "INSTACART_DEMO": "0", "LOG_LEVEL": "INFO"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _table(found: Installation, leave_out: frozenset[str], web: tuple[str, ...]) -> list[Step | Process]:
    return [
        replace(
            entry,
            after=tuple(name for name in entry.after if name not in leave_out),
            command=(*entry.command, *web) if entry.name == "web" else entry.command,
        )
        for entry in processes.table(found)
        if entry.name not in leave_out
    ]


def _seconds(one: trees.Identity) -> float:
    try:
        took = psutil.Process(one.pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(took.user + took.system + took.children_user + took.children_system)


def _serves(entry: Step | Process, queue: str) -> bool:
    return any(queue in part.split(",") for part in entry.command)


def _wait_until_ready(supervisor: Supervisor, layout: Layout) -> None:
    until = time.monotonic() + READY_WITHIN_S
    while waiting := [one for one in supervisor.children.values() if one.state not in {state.RUNNING, state.DONE}]:
        failed = [f"{one.entry.name}: {one.message}" for one in waiting if one.state == state.FAILED]
        if failed or time.monotonic() > until:
            logs = "".join(path.read_text(errors="replace")[-2000:] for path in layout.log.glob("*.log"))
            raise NotReady(f"{'; '.join(failed) or [one.entry.name for one in waiting]}\n{logs}")
        time.sleep(0.1)


# The market


@dataclass(frozen=True, slots=True)
class Place:
    """A store, or where a shopper stands."""

    id: int
    zone_id: int
    lat: float
    lng: float

    def near(self, km: float, chance: random.Random) -> tuple[float, float]:
        """A place at ``km`` at most."""
        far, angle = km * math.sqrt(chance.random()), chance.uniform(0, 2 * math.pi)
        lat = self.lat + far * math.sin(angle) / KM_PER_DEGREE
        return lat, self.lng + far * math.cos(angle) / (KM_PER_DEGREE * math.cos(math.radians(self.lat)))


@dataclass(frozen=True, slots=True)
class Market:
    stores: list[Place]
    shoppers: list[Place]
    tokens: dict[int, str] = field(repr=False)
    """The access token of each shopper's phone, good for ten minutes."""


def settle(*, zones: int, stores: int, shoppers: int, now: datetime) -> Market:
    """So many zones of 12 km across, all their stores and all their shoppers, who are at home yet."""
    chance = random.Random(4)  # noqa: S311
    centres = _zones(zones)
    places = _stores(centres, stores, chance)
    people = _shoppers(places, shoppers, chance, now)
    return Market(places, people, tokens([one.id for one in people], now, app="shopper-app", scope="shopper"))


def _zones(count: int) -> list[Place]:
    from apps.stores.models import Zone

    rows = [Zone(name=f"Zone {n}", lat=30.0 + n, lng=-90.0, radius_m=12_000) for n in range(count)]
    return [Place(row.pk, row.pk, row.lat, row.lng) for row in Zone.objects.bulk_create(rows)]


def _stores(centres: list[Place], count: int, chance: random.Random) -> list[Place]:
    from apps.stores.models import Retailer, Store

    retailer = Retailer.objects.create(name="Grocer")
    rows = []
    for n in range(count):
        zone = centres[n % len(centres)]
        lat, lng = zone.near(6, chance)
        rows.append(
            Store(
                id=(n + 1) * 10_000 + n * 3_571 % 10_000,  # one shard after the other
                retailer=retailer,
                zone_id=zone.id,
                code=f"store-{n}",
                name=f"Grocer {n}",
                address=f"{n} High St",
                city="Columbus",
                state="OH",
                postcode="43215",
                lat=lat,
                lng=lng,
                timezone="America/New_York",
                delivery_radius_m=12_000,
                minimum_basket_cents=1_000,
            )
        )
    return [Place(row.pk, row.zone_id, row.lat, row.lng) for row in Store.objects.bulk_create(rows)]


def _shoppers(stores: list[Place], count: int, chance: random.Random, now: datetime) -> list[Place]:
    from apps.accounts.models import User
    from apps.shoppers import services

    users = User.objects.bulk_create([User(login_hash=f"shopper-{n}", date_joined=now) for n in range(count)])
    people = []
    for n, user in enumerate(users):
        beside = stores[n % len(stores)]
        services.register(user_id=user.pk, name=f"Shopper {n}", zone_id=beside.zone_id, now=now)
        people.append(Place(user.pk, beside.zone_id, *beside.near(1, chance)))
    return people


def tokens(user_ids: list[int], now: datetime, *, app: str, scope: str) -> dict[int, str]:
    """As OAuth's token view would issue and keep them."""
    from oauth2_provider.models import AccessToken, Application

    from apps.accounts import services
    from apps.accounts.api import jwt

    services.create_oauth_apps()
    owner = Application.objects.get(client_id=app)
    issued = {one: jwt.issued(user_id=one, client_id=app, scopes=[scope], now=now) for one in user_ids}
    AccessToken.objects.bulk_create(
        AccessToken(user_id=one, token=token, application=owner, expires=now + jwt.LIFETIME, scope=scope)
        for one, token in issued.items()
    )
    return issued


def order(store: Place, number: int, *, opens_in: timedelta, chance: random.Random) -> int:
    """A confirmed order at its customer's and at its store, as its event brings it there; the store order's id."""
    from apps.common.geo import Point
    from apps.fulfilment import services
    from apps.fulfilment.types import NewLine

    now = datetime.now(UTC)
    opens, drop = now + opens_in, Point(*store.near(6, chance))
    made = services.project(
        store_id=store.id,
        order_id=_at_customers(store, number, drop, opens),
        customer_id=number,
        window_starts_at=opens,
        window_ends_at=opens + WINDOW,
        drop=drop,
        tip_cents=300,
        lines=[
            NewLine(
                line_id=line,
                item_id=line,
                name="Beans",
                department="pantry",
                aisle="4",
                rank=line,
                quantity=Decimal(2),
                cost_unit="each",
                sold_by="count",
                unit_price_cents=129,
                note="",
                replacement_policy="best_match",
            )
            for line in range(chance.randint(1, 12))
        ],
        now=now,
    )
    if made is None:
        raise RuntimeError(f"order {number} was there before: the databases are not new")
    return made


def _at_customers(store: Place, number: int, drop: "Point", opens: datetime) -> int:
    from apps.common import crypto
    from apps.orders.models import Order
    from apps.orders.types import DropOff

    wrapped = crypto.new_data_key()
    key = crypto.data_key(wrapped)
    address = DropOff(
        name="Ada",
        line1="100 N High St",
        line2="",
        city="Columbus",
        state="OH",
        postcode="43215",
        instructions="",
        point=drop,
    )
    row = Order.objects.create(
        customer_id=number,
        store_id=store.id,
        status="brand_new",
        sequence=0,
        window_id=1,
        window_starts_at=opens,
        window_ends_at=opens + WINDOW,
        window_minutes=120,
        data_key=wrapped,
        address_encrypted=crypto.encrypt(json.dumps(asdict(address)), key=key),
        pin_encrypted=crypto.encrypt("0000", key=key),
        card_id=1,
        tip_cents=300,
        currency="USD",
        fees={},
        authorise_cents=10_000,
        placed_at=opens,
        pay_by=opens,
    )
    return int(row.pk)
