"""A change of an order's lines as a row beside the store's list keeps it."""

from dataclasses import asdict
from decimal import Decimal
from typing import Any

from apps.fulfilment import models
from apps.orders.types import Edit, EditedLine


def written(edit: Edit) -> dict[str, Any]:
    """As JSON; ``read`` is its reverse."""
    lines = [{**asdict(line), "before": str(line.before), "quantity": str(line.quantity)} for line in edit.lines]
    return {**asdict(edit), "lines": lines}


def read(row: models.OrderEdit) -> Edit:
    lines = tuple(
        EditedLine(**{**line, "before": Decimal(line["before"]), "quantity": Decimal(line["quantity"])})
        for line in row.content["lines"]
    )
    return Edit(**{**row.content, "lines": lines})
