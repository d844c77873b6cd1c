from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from typing_extensions import override

from apps.common import clock
from apps.dispatch.etas import training


class Command(BaseCommand):
    help = "Fit the ETA model to finished orders, store it, and print how it does on orders it has not seen."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, default=28, help="how far back to look (default: 28)")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        if options["days"] < 1:
            raise CommandError("--days must be 1 or more.")
        report = training.train(now=clock.now(), days=options["days"])
        if report.version is None:
            raise CommandError(
                f"Only {report.orders} finished orders in {options['days']} days; {training.LEAST} are needed. "
                "Nothing was stored; look further back with --days."
            )
        self.stdout.write(f"Model {report.version}, from {report.orders - report.held_out} finished orders.")
        self.stdout.write(
            f"Of {report.held_out} later ones, {report.in_window:.1%} were delivered inside their delivery window."
        )
        for stage, found in report.calibration.items():
            self.stdout.write(
                f"ETAs told when {stage}: {found.inside:.1%} inside the interval of 80 %, {found.early:.1%} earlier, "
                f"{found.late:.1%} later; it is {found.width_minutes:.1f} minutes wide, and what was likely is off by "
                f"{found.off_minutes:.1f} (the components alone: {found.components_off_minutes:.1f})."
            )
