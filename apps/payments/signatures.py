"""The provider's signature under what it tells us: https://docs.stripe.com/webhooks/signature"""

from collections.abc import Sequence
from datetime import datetime

import stripe

from apps.payments.errors import BadSignature

TOLERANCE_SECONDS = 300


def verify(*, payload: bytes, header: str, secrets: Sequence[str], now: datetime) -> None:
    """Raises ``BadSignature`` unless one of ``secrets`` signed ``payload`` within 5 minutes of ``now``, either way.

    Several secrets are valid while one is being replaced. (The SDK's own check lets any future time pass.)
    """
    if not any(_is_signed(payload, header, secret) for secret in secrets):
        raise BadSignature("The signature is not the payment provider's.")
    if abs(now.timestamp() - _signed_at(header)) > TOLERANCE_SECONDS:
        raise BadSignature("The signature is not from now.")


def _is_signed(payload: bytes, header: str, secret: str) -> bool:
    if not header.isascii():  # the SDK's comparison takes ASCII only
        return False
    try:
        stripe.WebhookSignature.verify_header(payload, header, secret)
    except (stripe.SignatureVerificationError, UnicodeDecodeError):
        return False
    return True


def _signed_at(header: str) -> int:
    return next(int(part.removeprefix("t=")) for part in header.split(",") if part.startswith("t="))
