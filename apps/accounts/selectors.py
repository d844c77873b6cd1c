import hashlib

from oauth2_provider.models import get_access_token_model

from apps.accounts import models
from apps.accounts.errors import AddressNotFound, EmailInvalid, UserNotFound
from apps.accounts.types import Address, Profile


def profile(*, customer_id: int) -> Profile:
    """Name and e-mail of a customer; raises ``UserNotFound``. 1 query.

    2 in the moments after a sign-up in which the profile has not reached its shard yet.
    """
    row = models.CustomerProfile.objects.filter(pk=customer_id).first()
    pending = row or models.PendingProfile.objects.filter(pk=customer_id).first()
    if pending is None:
        raise UserNotFound("There is nobody by that id.")
    return pending.opened()


def addresses(*, customer_id: int) -> tuple[Address, ...]:
    """The customer's addresses, oldest first; ``domain.MAX_ADDRESSES`` at most. 1 query."""
    rows = list(models.Address.objects.filter(customer_id=customer_id).select_related("customer").order_by("id"))
    if not rows:
        return ()
    key = rows[0].customer.key()
    return tuple(row.opened(key=key) for row in rows)


def address(*, customer_id: int, address_id: int) -> Address:
    """One address of this customer; raises ``AddressNotFound``, for somebody else's too. 1 query."""
    row = _address(customer_id, address_id)
    return row.opened(key=row.customer.key())


def recipient(*, customer_id: int, address_id: int) -> tuple[str, Address]:
    """The customer's name and one of their addresses; raises ``AddressNotFound``, for somebody else's too. 1 query."""
    row = _address(customer_id, address_id)
    return row.customer.opened().name, row.opened(key=row.customer.key())


def user_id_by_email(*, email: str) -> int | None:
    """Whose e-mail address it is, in any spelling; None for nobody's and for what is not one. 1 query."""
    try:
        digest = models.login_hash(email)
    except EmailInvalid:
        return None
    found: int | None = models.User.objects.filter(login_hash=digest).values_list("pk", flat=True).first()
    return found


def staff_store_ids(*, user_id: int) -> tuple[int, ...]:
    """Stores at which the user has a role, in order of their ids; none for who may not sign in. 1 query."""
    roles = models.StaffRole.objects.filter(user_id=user_id, user__is_active=True, store_id__isnull=False)
    found = roles.order_by("store_id").values_list("store_id", flat=True).distinct()
    return tuple(store_id for store_id in found if store_id is not None)


def has_role(*, user_id: int, role: str) -> bool:
    """Whether the user holds ``role`` everywhere (not just at one store) and may sign in. 1 query."""
    held = models.StaffRole.objects.filter(user_id=user_id, role=role, store_id__isnull=True, user__is_active=True)
    return held.exists()


def token_holder(*, token: str) -> models.User | None:
    """Who holds an access token that was issued here and not revoked since, if they may sign in. 1 query.

    Whether the token is genuine, for us and not over is for ``api.jwt`` to check first.
    """
    checksum = hashlib.sha256(token.encode()).hexdigest()
    issued = get_access_token_model().objects.filter(token_checksum=checksum)
    holders = models.User.objects.filter(is_active=True, pk__in=issued.values("user_id"))
    return holders.only("is_active").first()


def _address(customer_id: int, address_id: int) -> models.Address:
    rows = models.Address.objects.filter(customer_id=customer_id, pk=address_id)
    row = rows.select_related("customer").first()
    if row is None:
        raise AddressNotFound("There is no such address.")
    return row
