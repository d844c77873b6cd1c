"""Backfills of the shop, for the tests of backfills."""

from typing import Any

from django.db.models import F, QuerySet, Value
from django.db.models.functions import Concat

from sharding.backfilling import BackfillJob


class Labels(BackfillJob):
    """Adds one to the total, so that a row that is done twice shows."""

    name = "shop.labels"
    model = "shop.Order"
    batch_size = 10
    values = {"code": Concat(Value("L"), F("total")), "total": F("total") + 1}

    def pending(self, rows: "QuerySet[Any]") -> "QuerySet[Any]":
        return rows.filter(code="")


class Counts(BackfillJob):
    """Works row by row, on a table whose key has two columns."""

    name = "shop.counts"
    model = "shop.Stock"
    batch_size = 7

    def pending(self, rows: "QuerySet[Any]") -> "QuerySet[Any]":
        return rows.filter(on_hand=0)

    def apply(self, rows: "QuerySet[Any]") -> None:
        for row in rows:
            row.on_hand = row.product_id * 10
            row.save(using=rows.db, update_fields=["on_hand"])


class Memos(BackfillJob):
    """A table of every database."""

    name = "shop.memos"
    model = "shop.Memo"
    values = {"text": "read"}

    def pending(self, rows: "QuerySet[Any]") -> "QuerySet[Any]":
        return rows.filter(text="new")


class Forgetful(Labels):
    name = "shop.forgetful"
    values = {"total": 1}


class Nothing(Labels):
    name = "shop.nothing"
    values = {}
