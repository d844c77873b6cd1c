from decimal import Decimal

import sharding
from apps.pricing import defaults, models
from apps.pricing.errors import RateInvalid


def seed_defaults() -> None:
    """Put in the fees and tax rates an installation starts with. What is there already stays as it is."""
    with sharding.atomic("default"):
        models.FeeRule.objects.get_or_create(
            code=defaults.SERVICE_FEE["code"], store_id=None, defaults=defaults.SERVICE_FEE
        )
        models.TaxRate.objects.bulk_create(
            [
                models.TaxRate(state=state, postcode_prefix=prefix, tax_category=category, percent=percent)
                for state, prefix, category, percent in defaults.tax_rates()
            ],
            ignore_conflicts=True,
        )


def set_tax_rate(*, state: str, tax_category: str, percent: Decimal, postcode_prefix: str = "") -> None:
    """From now on this percentage is charged there. Raises ``RateInvalid`` outside 0 to 100."""
    if not (percent.is_finite() and 0 <= percent <= 100):
        raise RateInvalid("A tax is between 0 and 100 percent.")
    models.TaxRate.objects.update_or_create(
        state=state.upper(),
        postcode_prefix=postcode_prefix,
        tax_category=tax_category,
        defaults={"percent": percent},
    )


def set_fee(
    *,
    code: str,
    label: str,
    flat_cents: int = 0,
    percent: Decimal = Decimal(0),
    minimum_cents: int | None = None,
    maximum_cents: int | None = None,
    store_id: int | None = None,
    is_active: bool = True,
) -> None:
    """The fee of that code, for one store or (without ``store_id``) for all that have none of their own.

    Raises ``RateInvalid`` for anything negative, more than 100 percent, or limits in the wrong order.
    """
    limits = [cents for cents in (minimum_cents, maximum_cents) if cents is not None]
    if flat_cents < 0 or not (percent.is_finite() and 0 <= percent <= 100):
        raise RateInvalid("A fee is not negative, and at most 100 percent.")
    if any(cents < 0 for cents in limits) or limits != sorted(limits):
        raise RateInvalid("The limits of a fee are not negative, the lower one first.")
    models.FeeRule.objects.update_or_create(
        code=code,
        store_id=store_id,
        defaults={
            "label": label,
            "flat_cents": flat_cents,
            "percent": percent,
            "minimum_cents": minimum_cents,
            "maximum_cents": maximum_cents,
            "is_active": is_active,
        },
    )
