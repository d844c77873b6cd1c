"""Cards are typed into the provider's page; we keep an id and what a receipt shows."""

import re
from datetime import datetime

from django.db.models import F

import sharding
from apps.payments import gateway, models
from apps.payments.errors import CardNotFound, CardPageUnfinished, ProviderUnavailable, UnknownObject
from apps.payments.gateway import SavedCard

_CARD_ID = re.compile(r"pm_[A-Za-z0-9_]{1,77}")
_PAGE_ID = re.compile(r"cs_[A-Za-z0-9_]{1,250}")


def card_page(*, customer_id: int, success_url: str, cancel_url: str) -> str:
    """Address of a page of the provider's on which the customer saves a card.

    They come back to ``success_url``, in which ``{CHECKOUT_SESSION_ID}`` becomes what
    ``finish_card_page`` needs. Raises ``ProviderUnavailable``.
    """
    page = gateway.current().card_page(
        customer=_stripe_customer(customer_id), customer_id=customer_id, success_url=success_url, cancel_url=cancel_url
    )
    return page.url


def finish_card_page(*, customer_id: int, session_id: str, now: datetime) -> int:
    """Keep the card that the customer has saved on that page; returns its id, the same one when repeated.

    Raises ``CardNotFound`` for a page that is not this customer's, ``CardPageUnfinished``, ``ProviderUnavailable``.
    """
    wallet = models.Wallet.objects.filter(pk=customer_id).first()
    if wallet is None or not _PAGE_ID.fullmatch(session_id):
        raise CardNotFound("There is no such card page.")
    try:
        page = gateway.current().retrieve_card_page(session_id)
    except UnknownObject as error:
        raise CardNotFound("There is no such card page.") from error
    if page.customer != wallet.stripe_customer_id:
        raise CardNotFound("There is no such card page.")
    if page.card is None:
        raise CardPageUnfinished("No card was saved.")
    return _kept(customer_id, page.card, now=now)


def add_card(*, customer_id: int, payment_method: str, now: datetime) -> int:
    """Keep a card that the provider's own script has made into a payment method; returns its id.

    Raises ``CardNotFound`` for an id that is not one, or is somebody else's, ``CardDeclined``, ``ProviderUnavailable``.
    """
    if not _CARD_ID.fullmatch(payment_method):
        raise CardNotFound("There is no such card.")
    customer = _stripe_customer(customer_id)
    try:
        card = gateway.current().attach(customer=customer, card=payment_method)
    except UnknownObject as error:
        raise CardNotFound("There is no such card.") from error
    return _kept(customer_id, card, now=now)


def _stripe_customer(customer_id: int) -> str:
    wallet, _ = models.Wallet.objects.get_or_create(pk=customer_id)
    if wallet.stripe_customer_id:
        return wallet.stripe_customer_id
    mine = models.Wallet.objects.filter(pk=customer_id, version=wallet.version)
    try:
        made = gateway.current().create_customer(
            customer_id=customer_id, key=f"customer-{customer_id}:{wallet.version}"
        )
    except ProviderUnavailable as error:
        if error.is_replay:  # only a fresh key will ever get another answer
            mine.update(version=F("version") + 1)
        raise
    models.Wallet.objects.filter(pk=customer_id, stripe_customer_id="").update(stripe_customer_id=made)
    return models.Wallet.objects.get(pk=customer_id).stripe_customer_id


@sharding.repeatable
def _kept(customer_id: int, card: SavedCard, *, now: datetime) -> int:
    row, _ = models.PaymentMethod.objects.get_or_create(
        customer_id=customer_id,
        stripe_id=card.id,
        defaults={
            "brand": card.brand,
            "last4": card.last4,
            "exp_month": card.exp_month,
            "exp_year": card.exp_year,
            "created_at": now,
        },
    )
    return int(row.pk)
