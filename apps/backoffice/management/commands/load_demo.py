"""The demo city: grocers, shelves, windows, people."""

import time
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from typing_extensions import override

from apps.accounts import services as accounts
from apps.backoffice.demo import city, history, people
from apps.common import clock, outbox


class Command(BaseCommand):
    help = (
        "Build the demo city: eight grocers with some 2,000 items, windows for seven days, 25 shoppers, past orders. "
        "What is there already is left alone, so it may be run at every start; it also opens the new days' windows."
    )

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--past-orders", type=int, default=settings.DEMO_PAST_ORDERS, help="orders delivered in the last weeks"
        )

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError("This is not a demo installation; INSTACART_DEMO=1 makes it one.")
        if not settings.DEMO_PASSWORD:
            raise CommandError("Set DEMO_PASSWORD, the password of the demo's accounts; `./dev up` makes one.")
        now = clock.now()
        self._step("grocers, shelves and windows", lambda: city.build(now=now))
        self._step("apps that may sign people in", accounts.create_oauth_apps)
        self._step("people", lambda: people.settle(password=settings.DEMO_PASSWORD, now=now))
        self._step("past orders", lambda: history.write(count=options["past_orders"], now=now))
        outbox.drain(rounds=5)

    def _step(self, title: str, work: Callable[[], object]) -> None:
        started = time.monotonic()
        self.stdout.write(f"{title} … ", ending="")
        self.stdout.flush()
        work()
        self.stdout.write(f"{time.monotonic() - started:.1f} s")
