import json
import sys
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from typing_extensions import override

from apps.common import clock
from apps.payments.errors import ProviderUnavailable
from instacart import invariants
from instacart.invariants import Score

SHOWN = 100
PAUSE_S = 2.0


class Command(BaseCommand):
    help = (
        "Say whether anything was lost: orders, cents, charges, units, batches, jobs (six integers, all 0), and what "
        "of the invariants does not hold. Exits 1 if anything is wrong."
    )

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--no-provider", action="store_true", help="do not ask the payment provider")
        parser.add_argument(
            "--acknowledged", type=int, nargs="*", default=[], metavar="ORDER", help="clients were told"
        )
        parser.add_argument("--wait", type=float, default=0, metavar="SECONDS", help="patience with what is under way")
        parser.add_argument("--json", action="store_true", help="the six integers as one object")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        acknowledged = options["acknowledged"]
        try:
            found = _found(acknowledged, asks_provider=not options["no_provider"], patience_s=options["wait"])
        except ProviderUnavailable as error:
            raise CommandError(f"{error} Try again, or look without it: --no-provider.") from error
        for line in found.violations[:SHOWN]:
            self.stderr.write(line)
        if len(found.violations) > SHOWN:
            self.stderr.write(f"... and {len(found.violations) - SHOWN} more")
        self.stdout.write(json.dumps(found.integers) if options["json"] else str(found))
        if not found.is_clean:
            sys.exit(1)


def _found(acknowledged: list[int], *, asks_provider: bool, patience_s: float) -> Score:
    """The last look: a market that is at work comes to rest between two orders, if one waits."""
    deadline = time.monotonic() + patience_s
    while True:
        found = invariants.score(now=clock.now(), acknowledged=acknowledged, asks_provider=asks_provider)
        if found.is_clean or time.monotonic() >= deadline:
            return found
        time.sleep(PAUSE_S)
