from apps.common.errors import Conflict, Invalid, NotFound, Unavailable


class CardNotFound(NotFound):
    code = "card_not_found"


class CardDeclined(Conflict):
    """The card's bank says no. ``reason`` is the provider's decline code, such as ``insufficient_funds``."""

    code = "card_declined"

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class CardPageUnfinished(Conflict):
    """The customer came back from the provider's page without having saved a card."""

    code = "card_page_unfinished"


class ProviderUnavailable(Unavailable):
    """The payment provider did not answer, or not usefully: whether it did the work is not known."""

    code = "payment_provider_unavailable"

    def __init__(self, message: str = "The payment provider does not answer.", *, is_replay: bool = False) -> None:
        super().__init__(message)
        self.is_replay = is_replay
        """The provider repeats the failure it has stored for this idempotency key, and always will."""


class PaymentNotFound(NotFound):
    code = "payment_not_found"


class PaymentConflict(Conflict):
    """The same step of the same order is, or was, paid in another way than is asked for now."""

    code = "payment_conflict"


class AmountTooSmall(Invalid):
    """Less than a card can be charged with."""

    code = "amount_too_small"


class CaptureTooLarge(Conflict):
    """More than was authorised."""

    code = "capture_too_large"


class NotCapturable(Conflict):
    """There is no live authorisation to take money from."""

    code = "not_capturable"


class AlreadyCaptured(Conflict):
    """The money was taken; it can be refunded, not voided."""

    code = "already_captured"


class RefundTooLarge(Conflict):
    """More than was taken and not given back, or being given back, already."""

    code = "refund_too_large"


class RefundConflict(Conflict):
    """The same request was made before for another amount."""

    code = "refund_conflict"


class PayoutAccountNotFound(NotFound):
    code = "payout_account_not_found"


class TransferNotFound(NotFound):
    code = "transfer_not_found"


class ReversalTooLarge(Conflict):
    """More than was sent and not taken back."""

    code = "reversal_too_large"


class TransferRefused(Exception):
    """Between us and the gateway: the provider will not send this now. ``code`` says why."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class BadSignature(Invalid):
    """Not from the provider, or not from now."""

    code = "bad_signature"
    status = 400


class GatewayRefused(Exception):
    """The provider calls our request wrong: a bug on our side, not a matter of the card or the weather."""


class UnexpectedState(Exception):
    """Between us and the gateway: the intent has moved on and cannot do this any more; fetch it to see where it is."""


class UnknownObject(Exception):
    """Between us and the gateway: the provider has nothing by that id."""


class CalledInTransaction(RuntimeError):
    """A call to the provider while a transaction is open: locks would be held for as long as it likes to take."""
