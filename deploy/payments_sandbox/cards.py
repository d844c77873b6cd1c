"""Stripe's test cards: https://docs.stripe.com/testing. No number is ever stored, only which card it was."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from deploy.payments_sandbox.errors import ApiError, card_error

MESSAGES = {
    "card_declined": "Your card was declined.",
    "insufficient_funds": "Your card has insufficient funds.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
    "incorrect_number": "Your card number is incorrect.",
    "invalid_expiry_month": "Your card's expiration month is invalid.",
    "invalid_expiry_year": "Your card's expiration year is invalid.",
    "invalid_cvc": "Your card's security code is invalid.",
    "authentication_required": "Your card was declined. This transaction requires authentication.",
}


@dataclass(frozen=True)
class Card:
    """`declines` is (code, decline_code). `challenge`: when 3-D Secure is asked for. `saves`: can be attached.

    `disputes`: what is taken from it is disputed at once.
    """

    alias: str
    number: str
    what: str
    brand: str = "visa"
    declines: tuple[str, str] | None = None
    challenge: str = "never"  # never | unless_set_up | always
    saves: bool = True
    disputes: bool = False

    @property
    def last4(self) -> str:
        return self.number[-4:]


def _declined(alias: str, number: str, what: str, code: str, decline_code: str, *, saves: bool = False) -> Card:
    return Card(alias, number, what, declines=(code, decline_code), saves=saves)


CARDS = (
    Card("visa", "4242424242424242", "Pays"),
    Card("mastercard", "5555555555554444", "Pays", brand="mastercard"),
    Card("amex", "378282246310005", "Pays (four-digit code)", brand="amex"),
    Card("visa_debit", "4000056655665556", "Pays"),
    _declined("chargeDeclined", "4000000000000002", "Declined", "card_declined", "generic_decline"),
    _declined("chargeDeclinedInsufficientFunds", "4000000000009995", "No funds", "card_declined", "insufficient_funds"),
    _declined("chargeDeclinedLostCard", "4000000000009987", "Reported lost", "card_declined", "lost_card"),
    _declined("chargeDeclinedStolenCard", "4000000000009979", "Reported stolen", "card_declined", "stolen_card"),
    _declined("chargeDeclinedExpiredCard", "4000000000000069", "Expired", "expired_card", "expired_card"),
    _declined("chargeDeclinedIncorrectCvc", "4000000000000127", "Wrong code", "incorrect_cvc", "incorrect_cvc"),
    _declined(
        "chargeDeclinedProcessingError", "4000000000000119", "Bank error", "processing_error", "processing_error"
    ),
    _declined(
        "chargeCustomerFail",
        "4000000000000341",
        "Can be saved, then declines",
        "card_declined",
        "generic_decline",
        saves=True,
    ),
    Card("createDispute", "4000000000000259", "Pays; then the bank takes it back", disputes=True),
    Card("threeDSecure2Required", "4000000000003220", "Asks the bank, then pays", challenge="unless_set_up"),
    Card("authenticationRequiredOnSetup", "4000002500003155", "Asks until saved", challenge="unless_set_up"),
    Card("authenticationRequired", "4000002760003184", "Asks the bank every time", challenge="always"),
    Card(
        "authenticationRequiredChargeDeclinedInsufficientFunds",
        "4000008260003178",
        "Asks, then no funds",
        declines=("card_declined", "insufficient_funds"),
        challenge="unless_set_up",
    ),
    Card(
        "threeDSecureRequiredChargeDeclined",
        "4000008400001629",
        "Asks, then declined",
        declines=("card_declined", "generic_decline"),
        challenge="unless_set_up",
    ),
)
BY_ALIAS = {card.alias: card for card in CARDS}
_BY_NUMBER = {card.number: card for card in CARDS}
# Names under which Stripe's documentation also lists some of them.
_OTHER_NAMES = {
    "visa_chargeDeclined": "chargeDeclined",
    "visa_chargeDeclinedInsufficientFunds": "chargeDeclinedInsufficientFunds",
    "visa_chargeDeclinedLostCard": "chargeDeclinedLostCard",
    "visa_chargeDeclinedStolenCard": "chargeDeclinedStolenCard",
    "threeDSecureRequired": "threeDSecure2Required",
}


def by_test_id(payment_method: str) -> Card | None:
    """`pm_card_visa` and its like."""
    name = payment_method.removeprefix("pm_card_")
    return BY_ALIAS.get(_OTHER_NAMES.get(name, name)) if payment_method.startswith("pm_card_") else None


def passes_luhn(number: str) -> bool:
    digits = [int(digit) for digit in reversed(number)]
    doubled = sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[0::2]) + doubled) % 10 == 0


def entered(details: dict[str, Any], *, now: float, param: str = "card") -> Card:
    """The card behind entered details; raises the card error that Stripe gives for mistyped ones."""
    number = str(details.get("number", "")).replace(" ", "").replace("-", "")
    if not (number.isascii() and number.isdigit() and 12 <= len(number) <= 19 and passes_luhn(number)):
        raise refused("incorrect_number", param="number")
    today = datetime.fromtimestamp(now, UTC)
    month, year = int(details.get("exp_month", 0)), int(details.get("exp_year", 0))
    year += 2000 if 0 <= year < 100 else 0
    if not 1 <= month <= 12:
        raise refused("invalid_expiry_month", param="exp_month")
    if (year, month) < (today.year, today.month) or year > today.year + 50:
        raise refused("invalid_expiry_year", param="exp_year")
    card = _BY_NUMBER.get(number)
    code = details.get("cvc")
    length = 4 if card is not None and card.brand == "amex" else 3
    if code is not None and not (code.isascii() and code.isdigit() and len(code) in {3, length}):
        raise refused("invalid_cvc", param="cvc")
    if card is None:
        raise card_error(
            "card_declined",
            "Your card was declined. Your request was in test mode, but used a non test (live) card. "
            "For a list of valid test cards, visit: https://stripe.com/docs/testing.",
            decline_code="test_mode_live_card",
            param=param,
        )
    return card


def refused(code: str, **more: Any) -> ApiError:
    return card_error(code, MESSAGES[code], **more)


def decline_message(code: str, decline_code: str) -> str:
    return MESSAGES.get(decline_code if decline_code == "insufficient_funds" else code, MESSAGES["card_declined"])


def declined(code: str, decline_code: str, **more: Any) -> ApiError:
    return card_error(code, decline_message(code, decline_code), decline_code=decline_code, **more)
