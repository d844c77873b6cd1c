from collections.abc import Collection, Sequence
from decimal import Decimal

from django.db.models import Q

from apps.common.money import Money
from apps.common.remembered import Remembered
from apps.pricing import domain, models
from apps.pricing.types import Fee, Fees, PricedLine, Quote
from apps.stores.types import Store


def fees_for(*, store: Store, window_fee: Money) -> Fees:
    """What an order at ``store`` pays besides its goods, in a window that costs ``window_fee``.

    2 queries; none where both were asked for in the last ``REFERENCE_SECONDS``.

    The window's fee is the delivery fee. A fee rule of the store itself goes before the general one
    of the same code, and switched off takes that fee away.
    """
    delivery = Fee(code="delivery", label="Delivery", flat=window_fee, tax_category="delivery")
    return Fees(
        currency=store.currency,
        fees=(delivery, *_fees(store)),
        tax_percent=_tax_percent(state=store.state, postcode=store.postcode),
    )


def quote(*, lines: Sequence[PricedLine], fees: Fees, tip: Money) -> Quote:
    """What ``lines`` cost: see ``domain.quote``, which raises ``TipInvalid``. No query."""
    return domain.quote(lines=lines, fees=fees, tip=tip)


def _rules_of(store_ids: Collection[int]) -> dict[int, list[models.FeeRule]]:
    """The general rules and each store's own."""
    rows = list(models.FeeRule.objects.filter(Q(store_id=None) | Q(store_id__in=store_ids)))
    return {store_id: [row for row in rows if row.store_id in (None, store_id)] for store_id in store_ids}


def _rates_of(states: Collection[str]) -> dict[str, list[models.TaxRate]]:
    rows = list(models.TaxRate.objects.filter(state__in=states))
    return {state: [row for row in rows if row.state == state] for state in states}


_fee_rules = Remembered(_rules_of)
_tax_rates = Remembered(_rates_of)


def _fees(store: Store) -> tuple[Fee, ...]:
    rows = _fee_rules.one(store.id) or ()
    by_code = {row.code: row for row in sorted(rows, key=lambda row: row.store_id is not None)}
    active = [row for row in by_code.values() if row.is_active]
    return tuple(_fee(row, store.currency) for row in sorted(active, key=lambda row: (row.position, row.code)))


def _fee(row: models.FeeRule, currency: str) -> Fee:
    return Fee(
        code=row.code,
        label=row.label,
        flat=Money(row.flat_cents, currency),
        percent=row.percent,
        minimum=None if row.minimum_cents is None else Money(row.minimum_cents, currency),
        maximum=None if row.maximum_cents is None else Money(row.maximum_cents, currency),
        tax_category=row.tax_category,
    )


def _tax_percent(*, state: str, postcode: str) -> dict[str, Decimal]:
    rows = _tax_rates.one(state) or ()
    near = [row for row in rows if postcode.startswith(row.postcode_prefix)]
    return {row.tax_category: row.percent for row in sorted(near, key=lambda row: len(row.postcode_prefix))}
