import csv
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from typing_extensions import override

from apps.catalog import services as catalog
from apps.catalog.types import RowError
from apps.common import clock, tables
from apps.inventory import selectors, services
from apps.stores import selectors as stores
from apps.stores.errors import StoreNotFound

SHOWN = 20


class Command(BaseCommand):
    """Lives here and not in the catalogue because a feed also says what lies on the shelf."""

    help = "Take over a store's items from a CSV feed (ALDI's columns or the field's own; .gz too)."

    @override
    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--store", required=True, metavar="CODE")
        parser.add_argument("--report", type=Path, metavar="PATH", help="write the bad rows to this CSV file")
        parser.add_argument(
            "--on-hand",
            type=int,
            default=40,
            help="stock of items whose stock nobody has said yet (default %(default)s)",
        )
        parser.add_argument("--max-bytes", type=int, default=tables.MAX_BYTES, help="most bytes after unpacking")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        if not 0 <= options["on_hand"] <= 1_000_000:
            raise CommandError("--on-hand is a number from 0 to 1000000.")
        now = clock.now()
        try:
            store = stores.store_by_code(code=options["store"])
            rows = catalog.feed_items(options["file"], max_bytes=options["max_bytes"])
            report = catalog.import_items(store_id=store.id, rows=rows, now=now)
        except (StoreNotFound, tables.Unreadable) as error:
            raise CommandError(str(error)) from error

        said = {item_id: balance for item_id, balance in report.balances.items() if balance is not None}
        known = selectors.levels(store_id=store.id, item_ids=report.balances.keys())
        assumed = {
            item_id: Decimal(options["on_hand"]) for item_id in report.balances if item_id not in said | dict(known)
        }
        services.set_on_hand(store_id=store.id, quantities=said | assumed, reason="feed", now=now)

        if options["report"]:
            _write(options["report"], report.errors)
        for bad in report.errors[:SHOWN]:
            self.stdout.write(f"line {bad.line}, {bad.column or 'row'} {bad.value!r} {bad.reason}")
        if len(report.errors) > SHOWN:
            self.stdout.write(f"... and {len(report.errors) - SHOWN} more (--report PATH writes them all)")
        self.stdout.write(
            f"{report.rows} rows for {store.name} ({store.code}): {report.created} created, {report.updated} updated, "
            f"{report.unchanged} unchanged, {report.bad_rows} bad; stock from the feed for {len(said)}, "
            f"{options['on_hand']} assumed for {len(assumed)}"
        )
        if report.rows == report.bad_rows:
            raise CommandError("No row could be read.")


def _write(path: Path, errors: tuple[RowError, ...]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["line", "column", "value", "reason"])
        writer.writerows([error.line, tables.harmless(error.column), error.value, error.reason] for error in errors)
