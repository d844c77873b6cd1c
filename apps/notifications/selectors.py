from collections.abc import Mapping

from apps.accounts import selectors as accounts
from apps.accounts.types import Profile
from apps.common import crypto
from apps.notifications import demo_outbox, domain, models, wording
from apps.notifications.demo_outbox import Shown
from apps.notifications.types import Notification, Preferences

MAX_LISTED = 100


def preferences(*, customer_id: int, profile: Profile | None = None) -> Preferences:
    """What the customer wants to be told, and in which language. 3 queries; 2 for who has the profile at hand.

    Raises ``UserNotFound``.
    """
    profile = profile or accounts.profile(customer_id=customer_id)
    muted = models.Mute.objects.filter(customer_id=customer_id).values_list("kind", flat=True)
    return Preferences(
        language=domain.language(profile.locale),
        muted=frozenset(muted),
        is_reachable=not _is_refused(profile),
    )


def to_customer(
    *, customer_id: int, about: Mapping[str, object] | None = None, limit: int = 50
) -> tuple[Notification, ...]:
    """What the customer was or is to be told, newest first; only what has the facts ``about``, if given. 1 query."""
    rows = models.Notification.objects.filter(customer_id=customer_id)
    if about is not None:
        rows = rows.filter(facts__contains=dict(about))
    return tuple(notification_of(row) for row in rows.order_by("-id")[: min(limit, MAX_LISTED)])


def optional_kinds(*, language: str) -> dict[str, str]:
    """What a customer may switch off, with its name in that language."""
    return {kind: wording.WORDS[language][kind].name for kind in domain.OPTIONAL}


def shown_letters() -> tuple[Shown, ...]:
    """The last letters of an installation without a mail server, newest first. No query."""
    return demo_outbox.letters()


def shown_letter(*, name: str) -> Shown | None:
    return demo_outbox.letter(name)


def address_hash(email: str) -> str:
    return crypto.keyed_hash(email.strip().lower(), purpose="notifications.address")


def notification_of(row: models.Notification) -> Notification:
    return Notification(
        id=row.pk,
        customer_id=row.customer_id,
        kind=row.kind,
        key=row.key,
        status=row.status,
        tries=row.tries,
        copies=row.copies,
        reason=row.reason,
        created_at=row.created_at,
        sent_at=row.sent_at,
    )


def _is_refused(profile: Profile) -> bool:
    mine = models.RefusedAddress.objects.filter(pk=profile.customer_id, address_hash=address_hash(profile.email))
    return mine.exists()
