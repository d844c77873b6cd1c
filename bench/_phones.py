"""Shoppers' phones: they speak the REST API as the app does, and note when they have seen what.

A phone asks for offers every ``POLL_S`` while its shopper has nothing to do, and says where it is every ``TELL_S``.
Most offers are accepted after a look, some declined, some ignored until they run out. Who has accepted fetches the
batch, works ``WORK_S`` (a trip takes no longer here, so that everybody is asked often) and is free again.
"""

import asyncio
import json as jsons
import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event
from typing import Any

from bench._market import Market, Place

POLL_S = 5.0
TELL_S = 30.0
LOOK_S = 4.0
WORK_S = 25.0
DECLINED, IGNORED = 0.10, 0.05
PATIENCE_S = 10.0


@dataclass(slots=True)
class Seen:
    """One offer on one phone. Moments are Unix seconds."""

    shopper_id: int
    offer_id: int
    batch_id: int
    at: float


@dataclass(slots=True)
class Log:
    """What all phones saw, in the order of time."""

    seen: list[Seen] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    """Seconds for each answer to "what am I offered?"."""
    answers: Counter[str] = field(default_factory=Counter)
    troubles: Counter[str] = field(default_factory=Counter)
    online: int = 0


class Phones:
    """All of them, in a thread. ``finish`` is called with the store and the batch of a trip that is over.

    What fails there is raised at the end.
    """

    def __init__(self, url: str, market: Market, finish: Callable[[int, int], None], *, going_online_s: float) -> None:
        self.log = Log()
        self._going_online_s = going_online_s
        self._url, self._market, self._finish = url, market, finish
        self._over = Event()
        self._pool = ThreadPoolExecutor(1)

    def __enter__(self) -> "Phones":
        self._work = self._pool.submit(lambda: asyncio.run(self._run()))
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._pool.shutdown()
        self._work.result()

    async def _run(self) -> None:
        tokens = self._market.tokens
        phones = [_Phone(one, self._url, tokens[one.id], self.log, self._finish) for one in self._market.shoppers]
        lives = [asyncio.create_task(phone.live(self._going_online_s)) for phone in phones]
        while not self._over.is_set():
            await asyncio.sleep(0.2)
            for life in lives:
                if life.done():
                    life.result()  # nobody is done by himself
        for life in lives:
            life.cancel()
        await asyncio.gather(*lives, return_exceptions=True)


class _Phone:
    def __init__(self, shopper: Place, url: str, token: str, log: Log, finish: Callable[[int, int], None]) -> None:
        self.shopper, self.url, self.token, self.log, self.finish = shopper, url, token, log, finish
        self.chance = random.Random(shopper.id)  # noqa: S311
        self.known: set[int] = set()
        self.told_at = 0.0

    async def live(self, going_online_s: float) -> None:
        await asyncio.sleep(self.chance.uniform(0, going_online_s))
        while await self._ask("POST", "/online", self._place()) is None:
            await asyncio.sleep(1)
        self.log.online += 1
        self.told_at = time.time()
        while True:
            await self._turn()
            await asyncio.sleep(self.chance.uniform(0.9, 1.1) * POLL_S)

    async def _turn(self) -> None:
        if time.time() > self.told_at + TELL_S:
            self.told_at = time.time()
            await self._ask(
                "POST", "/positions", {"positions": [{**self._place(), "at": datetime.now(UTC).isoformat()}]}
            )
        began = time.time()
        answer = await self._ask("GET", "/offers")
        if answer is None:
            return
        self.log.took.append(time.time() - began)
        for offer in answer["offers"]:
            if (offer_id := int(offer["id"])) not in self.known:
                self.known.add(offer_id)
                self.log.seen.append(Seen(self.shopper.id, offer_id, int(offer["batch_id"]), time.time()))
                await self._answer(offer_id)

    async def _answer(self, offer_id: int) -> None:
        await asyncio.sleep(self.chance.uniform(0, 2 * LOOK_S))
        draw = self.chance.random()
        word = "decline" if draw < DECLINED else "ignore" if draw < DECLINED + IGNORED else "accept"
        self.log.answers[word] += 1
        if word == "ignore":
            return
        answer = await self._ask("POST", f"/offers/{offer_id}/{word}")
        if word == "accept" and answer is not None:
            await self._ask("GET", "/batch")
            await asyncio.sleep(WORK_S)
            await asyncio.to_thread(self.finish, int(answer["store_id"]), int(answer["batch_id"]))

    def _place(self) -> dict[str, float]:
        return {"lat": self.shopper.lat, "lng": self.shopper.lng}

    async def _ask(self, method: str, path: str, json: Any = None) -> Any:
        """The answer's body (True for one without); None when there was none, or a refusal, which is counted."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                status, body = await exchange(self.url, self.token, method, path, json)
        except (OSError, EOFError, TimeoutError):
            status, body = 0, b""
        if 200 <= status < 300:
            return jsons.loads(body) if body else True
        self.log.troubles[f"{method} {path.rpartition('/')[2]}: {status or 'no answer'}"] += 1
        return None


async def exchange(url: str, token: str, method: str, path: str, json: Any = None) -> tuple[int, bytes]:
    """Status and body of one request on a connection of its own, as uWSGI's router wants it.

    Raises OSError and EOFError when there is no answer.
    """
    host, port = url.removeprefix("http://").split(":")
    body = b"" if json is None else jsons.dumps(json).encode()
    head = (
        f"{method} /api/v1/shopper{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(head.encode() + body)
        answer = await reader.read()
    finally:
        writer.close()
    first, _, rest = answer.partition(b"\r\n")
    if not rest:
        raise EOFError("no answer")
    return int(first.split()[1]), rest.partition(b"\r\n\r\n")[2]
