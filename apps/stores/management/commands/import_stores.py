from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from typing_extensions import override

from apps.common import tables
from apps.stores import domain, services

SHOWN = 50


class Command(BaseCommand):
    help = "Take over a CSV directory of stores (chain, store_no, name, address, city, state, zip, lat, lon; .gz too)."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--only-metro", choices=sorted(domain.METROS), help="leave out stores elsewhere")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        metro = domain.METROS.get(options["only_metro"])
        try:
            report = services.import_directory(rows=tables.rows(options["file"]), only_metro=metro)
        except tables.Unreadable as error:
            raise CommandError(str(error)) from error
        for bad in report.errors[:SHOWN]:
            self.stdout.write(f"line {bad.line}, {bad.column or 'row'} {bad.value!r} {bad.reason}")
        if len(report.errors) > SHOWN:
            self.stdout.write(f"... and {len(report.errors) - SHOWN} more")
        if report.assumed_timezones:
            states = ", ".join(report.assumed_timezones)
            self.stdout.write(f"No time zone is known for {states}: {domain.DEFAULT_TIMEZONE} was assumed.")
        bad_rows = len({error.line for error in report.errors})
        self.stdout.write(
            f"{report.rows} rows: {report.created} created, {report.updated} updated, {report.unchanged} unchanged, "
            f"{report.elsewhere} elsewhere, {bad_rows} bad"
        )
        if report.created:
            opens, closes = domain.USUAL_HOURS
            self.stdout.write(f"New stores are open {opens:%H:%M}-{closes:%H:%M} every day until set_hours says else.")
        if not (report.created or report.updated or report.unchanged or report.elsewhere):
            raise CommandError("No row could be read.")
