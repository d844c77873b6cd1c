from datetime import UTC, datetime

from apps.payments import services

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def make_card(customer_id: int, payment_method: str = "pm_card_visa") -> int:
    """A saved card of the customer's at whatever gateway is in use (``fixtures.fake_gateway``, ``fixtures.sandbox``).

    It is named as Stripe's test cards are: ``pm_card_chargeCustomerFail`` declines when it is charged,
    ``pm_card_authenticationRequired`` asks the bank every time.
    """
    return services.add_card(customer_id=customer_id, payment_method=payment_method, now=NOW)
