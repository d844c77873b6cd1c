"""Simulated shoppers: go online, take offers, pick, weigh, drive, hand over. The REST API and nothing else."""

import asyncio
import base64
import random
import struct
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx

from apps.simulation import clients
from apps.simulation.clients import Refused, Tokens, Unanswered
from apps.simulation.tally import Placed, Tally

NOT_FOUND_SHARE = 0.03
SLIP_SHARE = 0.05
_STORES = "{ stores { point { lat lng } } }"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds that things take."""

    poll: float
    line: float
    drive: float


@dataclass
class Shopper:
    tokens: Tokens
    rng: random.Random
    pace: Pace
    lat: float
    lng: float

    def position(self) -> dict[str, object]:
        return {"lat": self.lat, "lng": self.lng, "at": datetime.now(UTC).isoformat()}

    async def call(self, method: str, path: str, json: Any = None) -> Any:
        return await clients.rest(self.tokens, method, f"shopper/{path}", json)


async def live(base_url: str, tally: Tally, rng: random.Random, pace: Pace, *, email: str, password: str) -> None:
    """One shopper's day, until cancelled: then offline."""
    tokens = await clients.sign_in(
        base_url, email=email, password=password, app="shopper-app", scope="shopper", redirect=f"{base_url}/oauth/done/"
    )
    start = rng.choice((await clients.graphql(tokens.http, _STORES))["stores"])["point"]
    shopper = Shopper(
        tokens, rng, pace, lat=start["lat"] + rng.uniform(-0.01, 0.01), lng=start["lng"] + rng.uniform(-0.01, 0.01)
    )
    await shopper.call("POST", "online", {"lat": shopper.lat, "lng": shopper.lng})
    tally.shoppers_online += 1
    try:
        while True:
            await _one_round(shopper, tally)
            await asyncio.sleep(pace.poll)
    finally:
        tally.shoppers_online -= 1
        with suppress(Refused, Unanswered, httpx.HTTPError):  # with a batch in hand, or nobody there to be told
            await shopper.call("POST", "offline")


async def _one_round(shopper: Shopper, tally: Tally) -> None:
    """Finish the batch in hand, or take an offer, or wait."""
    batch = (await shopper.call("GET", "batch"))["batch"]
    if batch is None:
        await shopper.call("POST", "positions", {"positions": [shopper.position()]})
        for offer in (await shopper.call("GET", "offers"))["offers"][:1]:
            try:
                await shopper.call("POST", f"offers/{offer['id']}/accept")
            except Refused as refusal:  # somebody was quicker, or the timer ran out
                tally.refusals[refusal.code] += 1
                return
        batch = (await shopper.call("GET", "batch"))["batch"]
    if batch is not None:
        await _work(shopper, batch, tally)


async def _work(shopper: Shopper, batch: Mapping[str, Any], tally: Tally) -> None:
    for order in batch["orders"]:
        await _pick(shopper, order)
    for order in batch["orders"]:
        await _bring(shopper, order, tally)


async def _pick(shopper: Shopper, order: Mapping[str, Any]) -> None:
    path = f"orders/{order['store_order_id']}"
    if order["status"] == "assigned":
        await shopper.call("POST", f"{path}/start-picking")
    if order["status"] in {"assigned", "picking"}:
        await _pick_lines(shopper, path, order["lines"])
    await _check_receipt(shopper, path)


async def _pick_lines(shopper: Shopper, path: str, lines: Sequence[Mapping[str, Any]]) -> None:
    """Every line, and once more what the customer has added, wants more of or has taken out meanwhile."""
    while True:
        for line in lines:
            if line["status"] == "not_picked":
                await asyncio.sleep(shopper.pace.line)
                with suppress(Refused):  # the list has changed: look at it again
                    await shopper.call("PUT", f"{path}/lines/{line['id']}", _result(shopper.rng, line))
        try:
            await shopper.call("POST", f"{path}/checkout")
        except Refused as refusal:
            if refusal.code != "lines_open":
                raise
            lines = (await shopper.call("GET", path))["lines"]
        else:
            return


async def _check_receipt(shopper: Shopper, path: str) -> None:
    """What the till printed, where the store wants to know; now and then with a slip of the finger the first time."""
    order = await shopper.call("GET", path)
    if order["status"] != "checkout" or not order["checks_receipt"]:
        return
    found = [line for line in order["lines"] if line["status"] == "found"]
    total = round(sum(Decimal(line["found_quantity"]) * line["unit_price_cents"] for line in found))
    attempt = (order["receipt"] or {"attempt": 0})["attempt"] + 1
    state = (order["receipt"] or {"state": "recount"})["state"]
    if state == "recount":
        if shopper.rng.random() < SLIP_SHARE:
            with suppress(Refused):
                slip = {"total_cents": total + 1000, "attempt": attempt, "photo": _photo()}
                await shopper.call("POST", f"{path}/receipt", slip)
            attempt += 1
        await shopper.call("POST", f"{path}/receipt", {"total_cents": total, "attempt": attempt, "photo": _photo()})
    await shopper.call("POST", f"{path}/bags", {"count": 1 + len(found) // 4})


def _result(rng: random.Random, line: Mapping[str, Any]) -> dict[str, str]:
    """What the shelf and the scale gave."""
    if rng.random() < NOT_FOUND_SHARE:
        return {"status": "to_refund", "reason": "out_of_stock"}
    ordered = Decimal(line["quantity"])
    if line["sold_by"] == "weight":
        weighed = (ordered * Decimal(str(round(rng.uniform(0.93, 1.1), 3)))).quantize(Decimal("0.001"))
        return {"status": "found", "quantity": str(weighed)}
    return {"status": "found", "quantity": str(ordered.to_integral_value())}


async def _bring(shopper: Shopper, order: Mapping[str, Any], tally: Tally) -> None:
    path = f"orders/{order['store_order_id']}"
    if order["status"] == "delivered":
        return
    if order["status"] != "delivering":
        await shopper.call("POST", f"{path}/start-delivery")
    await asyncio.sleep(shopper.pace.drive)
    await shopper.call("POST", f"{path}/deliver", {"proof": _proof(tally.orders.get(order["order_id"]))})
    tally.deliveries += 1


def _photo() -> str:
    """The smallest picture there is, one grey point (PNG), in base64: the simulated doors all look alike."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    picture = chunk(b"IDAT", zlib.compress(b"\x00\x80"))
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + header + picture + chunk(b"IEND", b"")).decode()


def _proof(order: Placed | None) -> dict[str, str]:
    """The PIN when a simulated customer opens the door, a photo of the bags when it is somebody else's door."""
    if order is not None and order.pin:
        return {"kind": "pin", "pin": order.pin}
    return {"kind": "photo", "photo": _photo()}
