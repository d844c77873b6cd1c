"""Set-based writing of many items: COPY into a temporary table, then one statement for the new and one for the changed.

Raw SQL because a feed has hundreds of thousands of rows; all values travel as parameters or COPY data.
Runs on the database of the transaction its caller opened.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connections

import sharding
from apps.catalog import domain
from apps.catalog.types import FeedItem

_PRODUCT_LOCK, _ITEM_LOCK = 5_120, 5_121
"""Classes of the advisory locks under which feeds of one retailer, and of one store, follow each other."""

_COLUMNS = (
    "product_id",
    "name",
    "brand",
    "size",
    "department",
    "department_slug",
    "aisle",
    "rank",
    "cost_unit",
    "price_cents",
    "sale_price_cents",
    "sale_starts_at",
    "sale_ends_at",
    "par_weight",
    "max_in_cart",
    "tax_category",
    "deposit_cents",
    "alcoholic",
    "snap",
    "in_assortment",
)
_ALL = ", ".join(_COLUMNS)
_FEED_ALL = ", ".join(f"feed.{column}" for column in _COLUMNS)
_ITEM_ALL = ", ".join(f"item.{column}" for column in _COLUMNS)

# The statements below are put together from the constants above, never from data.
_STAGE = f"""
    CREATE TEMPORARY TABLE feed ON COMMIT DROP AS
    SELECT lookup_code, {_ALL} FROM catalog_item WITH NO DATA
"""  # noqa: S608
_UPDATE = f"""
    UPDATE catalog_item AS item SET ({_ALL}) = ROW ({_FEED_ALL}), changed_at = %(now)s
    FROM pg_temp.feed AS feed
    WHERE item.store_id = %(store)s AND item.lookup_code = feed.lookup_code
      AND ROW ({_ITEM_ALL}) IS DISTINCT FROM ROW ({_FEED_ALL})
"""  # noqa: S608
_INSERT = f"""
    INSERT INTO catalog_item (store_id, lookup_code, {_ALL}, changed_at)
    SELECT %(store)s, feed.lookup_code, {_FEED_ALL}, %(now)s FROM pg_temp.feed AS feed
    WHERE NOT EXISTS (
        SELECT FROM catalog_item AS item WHERE item.store_id = %(store)s AND item.lookup_code = feed.lookup_code
    )
"""  # noqa: S608
_IDS = """
    SELECT item.lookup_code, item.id FROM catalog_item AS item JOIN pg_temp.feed AS feed USING (lookup_code)
    WHERE item.store_id = %(store)s
"""

_STAGE_CODES = """
    CREATE TEMPORARY TABLE feed_code (code text, name text, brand text, size text, category text) ON COMMIT DROP
"""
_NEW_PRODUCTS = """
    WITH fresh AS MATERIALIZED (
        SELECT nextval(pg_get_serial_sequence('catalog_product', 'id')) AS id, feed.*
        FROM pg_temp.feed_code AS feed
        WHERE NOT EXISTS (
            SELECT FROM catalog_productcode AS known
            WHERE known.kind = 'sku' AND known.code = feed.code AND known.retailer_id = %(retailer)s
        )
    ), product AS (
        INSERT INTO catalog_product (id, name, brand, size, category) SELECT id, name, brand, size, category FROM fresh
    )
    INSERT INTO catalog_productcode (product_id, kind, code, retailer_id)
    SELECT id, 'sku', code, %(retailer)s FROM fresh
"""
_PRODUCT_IDS = """
    SELECT known.code, known.product_id FROM catalog_productcode AS known JOIN pg_temp.feed_code USING (code)
    WHERE known.kind = 'sku' AND known.retailer_id = %(retailer)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    created: int
    updated: int
    item_ids: Mapping[str, int]
    """By lookup code, of every item that was given."""


def product_ids(*, retailer_id: int, items: Sequence[FeedItem]) -> dict[str, int]:
    """The product of each item's lookup code, made where the retailer's code is new. One transaction, 6 statements.

    A product that is known keeps the name it has: several stores' feeds speak of it.
    """
    with sharding.atomic("default"), connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_PRODUCT_LOCK, retailer_id % 2**31])
        cursor.execute(_STAGE_CODES)
        with cursor.copy("COPY pg_temp.feed_code (code, name, brand, size, category) FROM STDIN") as copy:
            for item in items:
                copy.write_row((item.lookup_code, item.name, item.brand, item.size, item.department))
        cursor.execute(_NEW_PRODUCTS, {"retailer": retailer_id})
        cursor.execute(_PRODUCT_IDS, {"retailer": retailer_id})
        found = dict(cursor.fetchall())
        cursor.execute("DROP TABLE pg_temp.feed_code")  # the transaction may be part of a longer one
    return found


def merge(*, store_id: int, items: Sequence[FeedItem], product_ids: Mapping[str, int], now: datetime) -> Merged:
    """Write ``items`` (lookup codes differ) into the transaction that is open on the store's shard. 7 statements."""
    with connections[sharding.alias_for("store", store_id)].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_ITEM_LOCK, store_id % 2**31])
        cursor.execute(_STAGE)
        with cursor.copy(f"COPY pg_temp.feed (lookup_code, {_ALL}) FROM STDIN") as copy:
            for item in items:
                copy.write_row((item.lookup_code, product_ids[item.lookup_code], *_values(item)))
        parameters: dict[str, Any] = {"store": store_id, "now": now}
        cursor.execute(_UPDATE, parameters)
        updated = cursor.rowcount
        cursor.execute(_INSERT, parameters)
        created = cursor.rowcount
        cursor.execute(_IDS, parameters)
        item_ids = dict(cursor.fetchall())
        cursor.execute("DROP TABLE pg_temp.feed")
    return Merged(created=created, updated=updated, item_ids=item_ids)


def _values(item: FeedItem) -> tuple[object, ...]:
    """In the order of ``_COLUMNS``, after the product."""
    return (
        item.name,
        item.brand,
        item.size,
        item.department,
        domain.slug(item.department),
        item.aisle,
        item.rank,
        item.cost_unit,
        item.price_cents,
        item.sale_price_cents,
        item.sale_starts_at,
        item.sale_ends_at,
        item.par_weight,
        item.max_in_cart or domain.most_in_cart(item.cost_unit),
        item.tax_category,
        item.deposit_cents,
        item.alcoholic,
        item.snap,
        item.available,
    )
