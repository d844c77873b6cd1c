"""Take over a store's feed: every good row, in one transaction, and a note of every bad one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import sharding
from apps.catalog import domain, models
from apps.catalog.domain import feeds
from apps.catalog.errors import ItemInvalid
from apps.catalog.services import merging
from apps.catalog.types import FeedItem, FeedReport, RowError
from apps.common import tables
from apps.stores import selectors as stores

MAX_KEPT_ERRORS = 1_000
"""Row errors kept with a feed run; the report returned has them all."""


def feed_items(path: Path, *, max_bytes: int = tables.MAX_BYTES) -> Iterator[FeedItem | RowError]:
    """What a feed file says, line by line, in either layout of ``domain.feeds``; several errors for one line at times.

    Raises ``tables.Unreadable``.
    """
    read: feeds.Reader | None = None
    for row in tables.rows(path, max_bytes=max_bytes):
        if isinstance(row, tables.BadLine):
            yield RowError(line=row.line, column="", value="", reason=row.reason)
            continue
        read = read or feeds.reader_for(row.cells)
        found = read(row)
        if isinstance(found, FeedItem):
            yield found
        else:
            yield from found


def import_items(*, store_id: int, rows: Iterable[FeedItem | RowError], now: datetime) -> FeedReport:
    """Create and update the store's items from ``rows``; an item that would not change is not written.

    Items the feed does not name stay as they are. A second line with the same lookup code is an
    error. Products the retailer's codes do not know yet are made first, in the global database (one
    transaction); items, run and errors follow in one transaction on the store's shard. Raises
    ``StoreNotFound``; whatever ``rows`` raises leaves everything as it was.
    """
    store = stores.store(store_id=store_id)
    good, errors = _sorted_out(rows)
    product_ids = merging.product_ids(retailer_id=store.retailer_id, items=good)
    merged, run = _kept(store_id, good, errors, product_ids, now)
    return FeedReport(
        run_id=run.pk,
        rows=run.rows,
        created=run.created,
        updated=run.updated,
        unchanged=run.unchanged,
        errors=tuple(errors),
        balances={merged.item_ids[item.lookup_code]: item.balance_on_hand for item in good},
    )


@sharding.repeatable
def _kept(
    store_id: int, items: Sequence[FeedItem], errors: Sequence[RowError], product_ids: Mapping[str, int], now: datetime
) -> tuple[merging.Merged, models.FeedRun]:
    """Items, run and errors in one transaction on the store's shard."""
    with sharding.atomic(sharding.home("store", store_id)):
        merged = merging.merge(store_id=store_id, items=items, product_ids=product_ids, now=now)
        bad_rows = len({error.line for error in errors})
        run = models.FeedRun.objects.create(
            store_id=store_id,
            at=now,
            rows=len(items) + bad_rows,
            created=merged.created,
            updated=merged.updated,
            unchanged=len(items) - merged.created - merged.updated,
            bad_rows=bad_rows,
        )
        models.FeedRowError.objects.bulk_create(
            models.FeedRowError(
                store_id=store_id,
                feed_run=run,
                line=error.line,
                column=tables.harmless(error.column),
                value=error.value,
                reason=error.reason[:200],
            )
            for error in errors[:MAX_KEPT_ERRORS]
        )
    return merged, run


@sharding.repeatable
def put_item(*, store_id: int, item: FeedItem, now: datetime) -> int:
    """Make the store's item with this lookup code what ``item`` says; its id. Repeating it changes nothing.

    Raises ``ItemInvalid`` and ``StoreNotFound``.
    """
    if not (item.lookup_code and item.name and item.price_cents > 0 and item.deposit_cents >= 0):
        raise ItemInvalid("An item has a lookup code, a name and a price above zero.")
    if any(domain.sale_faults(item)):
        raise ItemInvalid("A sale price is below the price, and a sale ends after it starts.")
    if item.cost_unit not in domain.COST_UNITS or item.tax_category not in domain.TAX_CATEGORIES:
        raise ItemInvalid("An item is priced by each, lb or kg and has a tax category we know.")
    store = stores.store(store_id=store_id)
    product_ids = merging.product_ids(retailer_id=store.retailer_id, items=[item])
    with sharding.atomic(sharding.home("store", store_id)):
        merged = merging.merge(store_id=store_id, items=[item], product_ids=product_ids, now=now)
    return merged.item_ids[item.lookup_code]


def _sorted_out(rows: Iterable[FeedItem | RowError]) -> tuple[Sequence[FeedItem], list[RowError]]:
    good: dict[str, FeedItem] = {}
    errors = []
    for row in rows:
        if isinstance(row, RowError):
            errors.append(row)
        elif row.lookup_code in good:
            reason = f"is on line {good[row.lookup_code].line} already"
            errors.append(RowError(line=row.line, column=row.code_column, value=row.lookup_code, reason=reason))
        else:
            good[row.lookup_code] = row
    return list(good.values()), errors
