"""Everybody at once: customers and shoppers side by side until the work or the time is done."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial

import httpx
from rich.console import Console
from rich.live import Live

from apps.simulation import customers, screen, shoppers
from apps.simulation.clients import Refused, Unanswered
from apps.simulation.shoppers import Pace
from apps.simulation.tally import Tally

logger = logging.getLogger(__name__)

FAST = Pace(poll=0.5, line=0, drive=0, patience=30)
GENTLE = Pace(poll=2, line=2, drive=12, patience=330, asks_strangers=True)
FINISH_S = 120.0
"""What orders under way have left when the time is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    base_url: str
    orders: int | None
    seconds: float
    customers: int
    shoppers: int
    first_shopper: int
    """Number of the first of them; two simulations at once must not share anybody."""
    pace: Pace
    pause_s: float
    """How long a customer rests between two orders."""
    shopper_password: str
    seed: int
    show_table: bool
    ignored_share: float = 0
    """Of the questions about replacements: nobody answers them, and after five minutes the system does."""


async def run(plan: Plan) -> Tally:
    """Simulate until ``plan.orders`` have ended or, when ``plan.seconds`` are over, those under way."""
    tally = Tally(wanted=plan.orders)
    rng = random.Random(plan.seed)  # noqa: S311 (a simulation is repeated by its seed)
    lives: list[Callable[[], Awaitable[None]]] = [
        partial(
            shoppers.live,
            plan.base_url,
            tally,
            random.Random(rng.random()),  # noqa: S311
            plan.pace,
            email=f"shopper-{n:02}@demo.example",
            password=plan.shopper_password,
        )
        for n in range(plan.first_shopper, plan.first_shopper + plan.shoppers)
    ]
    lives += [
        partial(
            customers.live,
            plan.base_url,
            tally,
            random.Random(rng.random()),  # noqa: S311
            plan.pause_s,
            plan.ignored_share,
        )
        for _ in range(plan.customers)
    ]
    tasks = [asyncio.create_task(_patiently(live, tally)) for live in lives]
    try:
        await _watch(plan, tally)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return tally


async def _watch(plan: Plan, tally: Tally) -> None:
    deadline = tally.started_at + plan.seconds
    loop = asyncio.get_running_loop()
    display: AbstractContextManager[Live | None] = nullcontext()
    if plan.show_table:
        display = Live(screen.table(tally), console=Console(stderr=True), refresh_per_second=2)
    with display as shown:
        while loop.time() < deadline + FINISH_S and not tally.is_done:
            await asyncio.sleep(0.5)
            tally.is_closed = tally.is_closed or loop.time() >= deadline
            if shown is not None:
                shown.update(screen.table(tally))


async def _patiently(live: Callable[[], Awaitable[None]], tally: Tally) -> None:
    """Live on after a mishap: a server that restarts must not end the simulation."""
    while True:
        try:
            await live()
        except (Refused, Unanswered, httpx.HTTPError) as mishap:
            tally.trouble.append(f"{type(mishap).__name__}: {mishap}")
            logger.warning("simulation.mishap %r", mishap)
            await asyncio.sleep(2)
        except Exception as mishap:
            tally.trouble.append(f"{type(mishap).__name__}: {mishap}")
            logger.exception("simulation.unexpected")
            await asyncio.sleep(10)
        else:
            return
