import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from typing_extensions import override

import sharding
from apps.common import clock
from apps.orders import services
from apps.payments import services as payments
from apps.payments.errors import ProviderUnavailable
from apps.statements import services as statements

SHOWN = 100


class Command(BaseCommand):
    """Lives here and not in the ledger because it also says what orders and payments know."""

    help = "Check that every cent is explained: orders, payments, ledger and the payment provider. Exits 1 if not."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["check"])
        parser.add_argument("--no-provider", action="store_true", help="do not ask the payment provider")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        now = clock.now()
        found = unexplained = 0

        def tell(what: str, cents: int) -> None:
            nonlocal found, unexplained
            found += 1
            unexplained += cents
            if found <= SHOWN:
                self.stdout.write(what)

        statements.audit(now=now, tell=tell)
        audited = [services.audit(using=alias, now=now, tell=tell) for alias in sharding.aliases("customer")]
        provider = "The provider was not asked."
        if not options["no_provider"]:
            try:
                compared = payments.compare_with_provider(now=now, tell=tell)
            except ProviderUnavailable as error:
                raise CommandError(f"{error} Try again, or check without it: --no-provider.") from error
            provider = f"At the provider {compared.movements} movements, {compared.cents} cents."
        if found > SHOWN:
            self.stdout.write(f"... and {found - SHOWN} more")
        self.stdout.write(
            f"{sum(a.orders for a in audited)} orders, {sum(a.entries for a in audited)} entries, "
            f"{sum(a.cents for a in audited)} cents at the provider by the ledger. {provider} "
            f"Not explained: {unexplained} cents in {found} places."
        )
        if found:
            sys.exit(1)
