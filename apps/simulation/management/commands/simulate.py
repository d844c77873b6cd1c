"""Customers and shoppers who use the public interfaces, in any number."""

import asyncio
import contextlib
import json
import sys
from argparse import ArgumentParser
from io import StringIO
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from typing_extensions import override

from apps.simulation import city
from apps.simulation.city import Plan

A_DAY_S = 24 * 3600.0
PATIENCE_S = 60.0
"""For messages and payments that are under way when the last order has ended."""
DEMO_SHOPPERS = 12
"""The demo's own simulation is these; another one takes the rest of the 25."""


class Command(BaseCommand):
    help = (
        "Drive simulated customers (GraphQL) and shoppers (REST) against the running marketplace. The last line is "
        "one JSON object: placed, delivered, rejected, lost, cents_of_difference, seconds, and the six integers of "
        "`manage.py invariants`. Exit code 1 when fewer orders were placed than wanted, or anything was lost."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--orders", type=int, help="end when this many orders have ended (default: go by --seconds)"
        )
        parser.add_argument("--seconds", type=float, help="begin no order after this time (default 600; --demo: never)")
        parser.add_argument("--customers", type=int, help="customers at the same time (default 6; --demo: 2)")
        parser.add_argument("--shoppers", type=int, help="shoppers at the same time (default 12, at most 13)")
        parser.add_argument("--demo", action="store_true", help="gently and for ever, at a pace one can watch")
        parser.add_argument("--base", default=settings.PUBLIC_URL, help="address of the marketplace")
        parser.add_argument("--seed", type=int, default=1, help="who buys what is decided by this number")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO_PASSWORD:
            raise CommandError("The simulation signs in as the demo's shoppers; set DEMO_PASSWORD as `./dev up` does.")
        gentle = options["demo"]
        plan = Plan(
            base_url=options["base"].rstrip("/"),
            orders=options["orders"],
            seconds=options["seconds"] or (365 * A_DAY_S if gentle else 600),
            customers=options["customers"] or (2 if gentle else 6),
            shoppers=min(options["shoppers"] or DEMO_SHOPPERS, DEMO_SHOPPERS if gentle else 25 - DEMO_SHOPPERS),
            first_shopper=1 if gentle else 1 + DEMO_SHOPPERS,
            pace=city.GENTLE if gentle else city.FAST,
            pause_s=60 if gentle else 0,
            shopper_password=settings.DEMO_PASSWORD,
            seed=options["seed"],
            show_table=sys.stderr.isatty() and not gentle,
        )
        try:
            tally = asyncio.run(city.run(plan))
        except KeyboardInterrupt:
            return
        for line in tally.trouble[-5:]:
            self.stderr.write(line)
        summary = tally.summary()
        is_ours = plan.base_url == settings.PUBLIC_URL.rstrip("/")
        if is_ours:
            summary["invariants"] = self._invariants([int(order_id) for order_id in tally.orders])
        self.stdout.write(json.dumps(summary))
        if not tally.is_good or any(summary.get("invariants", {}).values()):
            sys.exit(1)

    def _invariants(self, order_ids: list[int]) -> dict[str, int]:
        """The six integers, as ``manage.py invariants`` counts them once the market has come to rest."""
        out = StringIO()
        with contextlib.suppress(SystemExit):  # what is wrong is on stderr, and in the integers
            call_command(
                "invariants", json=True, wait=PATIENCE_S, acknowledged=order_ids, stdout=out, stderr=self.stderr
            )
        found: dict[str, int] = json.loads(out.getvalue())
        return found
