from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from typing_extensions import override

from apps.common import clock
from apps.dispatch.roads import domain, fitting
from apps.dispatch.roads.domain import Fit
from apps.stores import selectors as stores


class Command(BaseCommand):
    help = "Fit each zone's driving speeds by hour to finished trips, store them, and print how they do on later ones."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, default=28, help="how far back to look (default: 28)")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        if options["days"] < 1:
            raise CommandError("--days must be 1 or more.")
        report = fitting.fit(now=clock.now(), days=options["days"])
        names = {zone.id: zone.name for zone in stores.zones()}
        for zone_id, fit in report.zones.items():
            self.stdout.write(f"{names.get(zone_id, zone_id)}: {_said(fit)}")
        for reason, count in sorted(report.left_out.items()):
            self.stdout.write(f"Left out as {reason}: {count} drives.")
        if report.version is None:
            raise CommandError(
                f"No zone has {domain.LEAST} drives in {options['days']} days. "
                "Nothing was stored; look further back with --days."
            )
        self.stdout.write(f"Stored as version {report.version}.")


def _said(fit: Fit) -> str:
    if fit.before is None or fit.after is None:
        return f"{fit.legs} drives, too few to fit."
    verdict = "used" if fit.is_used else "no better, so not used"
    off = f"later ones are off by {fit.before:.2f} minutes before, {fit.after:.2f} after"
    return f"{fit.legs} drives; {off}: {verdict}."
