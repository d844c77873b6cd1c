"""Simulated shoppers: go online, take offers, pick, weigh, drive, hand over. The REST API and nothing else."""

import asyncio
import base64
import random
import struct
import zlib
from collections.abc import Mapping
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
PROPOSED_SHARE = 0.8
"""Of what is not found: something else is proposed for so much of it."""
SLIP_SHARE = 0.05
"""Of receipts, whose total is typed wrong at first."""
_STORES = "{ stores { point { lat lng } } }"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds that things take."""

    poll: float
    line: float
    drive: float
    patience: float
    """With a question that nobody answers, before it is withdrawn."""
    asks_strangers: bool = False
    """Whoever is none of the simulation's own is asked one question about each order."""


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
        is_strangers = order["order_id"] not in tally.orders
        await _pick(shopper, order, asks=shopper.pace.asks_strangers and is_strangers)
    for order in batch["orders"]:
        await _bring(shopper, order, tally)


async def _pick(shopper: Shopper, order: Mapping[str, Any], *, asks: bool = False) -> None:
    """From the first line to the till's receipt. ``asks``: one question to the customer at least."""
    path = f"orders/{order['store_order_id']}"
    if order["status"] == "assigned":
        await shopper.call("POST", f"{path}/start-picking")
    if order["status"] in {"assigned", "picking"}:
        await _pick_lines(shopper, path, asks=asks)
    await _check_receipt(shopper, path)


async def _pick_lines(shopper: Shopper, path: str, *, asks: bool) -> None:
    """Line by line, and go on with what customers say and change meanwhile, until nothing is open at the check-out."""
    loop = asyncio.get_running_loop()
    patient_until = loop.time() + shopper.pace.patience
    while True:
        while open_lines := await _open_lines(shopper, path):
            to_do = [line for line in open_lines if not _is_asked_about(line)]
            for line in to_do:
                await asyncio.sleep(shopper.pace.line)
                with suppress(Refused):  # the list has changed: look at it again
                    asks = not await _do(shopper, f"{path}/lines/{line['id']}", line, asks=asks) and asks
                patient_until = loop.time() + shopper.pace.patience
            if not to_do:
                if loop.time() > patient_until:
                    for line in open_lines:
                        await shopper.call("DELETE", f"{path}/lines/{line['id']}/replacement")
                await asyncio.sleep(shopper.pace.poll)
                await shopper.call("POST", "positions", {"positions": [shopper.position()]})  # still there
        try:
            await shopper.call("POST", f"{path}/checkout")
        except Refused as refusal:
            if refusal.code != "lines_open":
                raise
        else:
            return


async def _open_lines(shopper: Shopper, path: str) -> list[dict[str, Any]]:
    """None of an order that is not being picked any more."""
    order = await shopper.call("GET", path)
    is_picked = order["status"] == "picking"
    return [line for line in order["lines"] if is_picked and line["status"] == "not_picked"]


def _is_asked_about(line: Mapping[str, Any]) -> bool:
    return line["replacement"] is not None and line["replacement"]["status"] == "proposed"


async def _do(shopper: Shopper, path: str, line: Mapping[str, Any], *, asks: bool) -> bool:
    """What is next for an open line: take it, give it up, or propose something else, which is True."""
    before, wanted = line["replacement"], line["replacement_item_id"]
    if before is None and not asks:
        result = _result(shopper.rng, line)
        is_out, proposes = result["status"] != "found", shopper.rng.random() < PROPOSED_SHARE
        if not is_out:
            await shopper.call("PUT", path, result)
            return False
    else:  # what was proposed before was not wanted; something else may be
        proposes = before is None or (wanted is not None and wanted != before["item_id"])
    if line["replacement_policy"] == "refund" and asks:
        await shopper.call("PUT", path, _result(shopper.rng, line))
        return False
    if proposes and line["replacement_policy"] != "refund" and await _propose(shopper, path, line):
        return True
    await shopper.call("PUT", path, {"status": "to_refund", "reason": "out_of_stock"})
    return False


async def _propose(shopper: Shopper, path: str, line: Mapping[str, Any]) -> bool:
    """Propose the first suggestion, as much of it as was ordered. False when there is none, or it is gone by now."""
    for other in (await shopper.call("GET", f"{path}/suggestions"))["suggestions"][:1]:
        quantity = line["quantity"] if other["sold_by"] == line["sold_by"] else "1"
        try:
            await shopper.call("POST", f"{path}/replacement", {"item_id": other["item_id"], "quantity": quantity})
        except Refused:
            return False
        return True
    return False


async def _check_receipt(shopper: Shopper, path: str) -> None:
    """What the till printed, where the store wants to know; now and then with a slip of the finger the first time."""
    order = await shopper.call("GET", path)
    if order["status"] != "checkout" or not order["checks_receipt"]:
        return
    prices = [price for line in order["lines"] if (price := _at_the_till(line))]
    total = round(sum(prices))
    attempt = (order["receipt"] or {"attempt": 0})["attempt"] + 1
    state = (order["receipt"] or {"state": "recount"})["state"]
    if state == "recount":
        if shopper.rng.random() < SLIP_SHARE:
            with suppress(Refused):
                slip = {"total_cents": total + 1000, "attempt": attempt, "photo": _photo()}
                await shopper.call("POST", f"{path}/receipt", slip)
            attempt += 1
        await shopper.call("POST", f"{path}/receipt", {"total_cents": total, "attempt": attempt, "photo": _photo()})
    await shopper.call("POST", f"{path}/bags", {"count": 1 + len(prices) // 4})


def _at_the_till(line: Mapping[str, Any]) -> Decimal:
    """Cents for what is in the bag for a line, nothing where that is nothing."""
    if line["status"] == "replaced":
        quantity, cents = line["replacement"]["quantity"], line["replacement"]["unit_price_cents"]
    else:
        quantity, cents = line["found_quantity"], line["unit_price_cents"]
    return Decimal(quantity) * Decimal(cents)


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
