import logging
from datetime import datetime

from django.conf import settings
from django.contrib.auth import password_validation
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.db import OperationalError
from oauth2_provider.models import (
    get_access_token_model,
    get_application_model,
    get_grant_model,
    get_refresh_token_model,
)

import sharding
from apps.accounts import domain, models
from apps.accounts.errors import (
    AddressNotFound,
    EmailTaken,
    LocaleInvalid,
    PasswordTooWeak,
    TooManyAddresses,
    UserNotFound,
)
from apps.accounts.events import SignedUp
from apps.accounts.types import AddressInput
from apps.common import crypto, outbox

logger = logging.getLogger(__name__)

GLOBAL = "default"


def sign_up(*, email: str, password: str, name: str, now: datetime) -> int:
    """Open an account and return its user id.

    The account and its sealed profile are one transaction in the global database; the profile is
    then brought to the customer's shard, at once or, after a crash, by the relay. In between
    everything reads as if it were there.

    Raises:
        EmailInvalid, NameInvalid, PasswordTooWeak: what was typed cannot be used.
        EmailTaken: the address has an account, whatever its password.
    """
    check_sign_up(email=email, password=password, name=name)
    wrapped = crypto.new_data_key()
    key = crypto.data_key(wrapped)
    hashed = make_password(password)  # slow on purpose: never inside a transaction

    with sharding.atomic(GLOBAL):
        user, is_new = models.User.objects.get_or_create(
            login_hash=models.login_hash(email), defaults={"password": hashed, "date_joined": now}
        )
        if not is_new:
            raise EmailTaken("There is an account with this e-mail address. Sign in instead.")
        models.PendingProfile.objects.create(
            user=user,
            data_key=wrapped,
            name=crypto.encrypt(domain.checked_name(name), key=key),
            email=crypto.encrypt(domain.normalised_email(email), key=key),
        )
        outbox.emit(SignedUp(user_id=user.pk), using=GLOBAL)

    try:
        finish_sign_up(user_id=user.pk)
    except OperationalError:  # the account exists; its shard will hear of it from the relay
        logger.warning("accounts.sign_up_left_to_relay user=%s", user.pk, exc_info=True)
    return user.pk


def check_sign_up(*, email: str, password: str, name: str) -> None:
    """Refuse, as ``sign_up`` would, what cannot be an account; says nothing about whether it exists."""
    who = models.User()
    who.email, who.name = domain.normalised_email(email), domain.checked_name(name)  # type: ignore[attr-defined]
    check_password(password, who)


def check_password(password: str, user: models.User | None = None) -> None:
    """Raise ``PasswordTooWeak`` with every reason; ``user`` is whom the password must not resemble."""
    try:
        password.encode()
    except UnicodeEncodeError as error:
        raise PasswordTooWeak("A password is made of characters.") from error
    try:
        password_validation.validate_password(password, user)
    except ValidationError as error:
        raise PasswordTooWeak(" ".join(error.messages)) from error


@sharding.repeatable
def finish_sign_up(*, user_id: int) -> None:
    """Bring the profile of a sign-up to the customer's shard. Repeating it changes nothing."""
    pending = models.PendingProfile.objects.filter(pk=user_id).first()
    if pending is None:
        return
    with sharding.atomic(sharding.home("customer", user_id)):
        models.CustomerProfile.objects.get_or_create(id=user_id, defaults=pending.sealed())
    pending.delete()


def change_password(*, user_id: int, password: str) -> None:
    """Set a new password; everything that was signed in with the old one, tokens included, is signed out.

    Raises ``UserNotFound`` or ``PasswordTooWeak``.
    """
    check_password(password)
    hashed = make_password(password)
    with sharding.atomic(GLOBAL):
        if not models.User.objects.filter(pk=user_id).update(password=hashed):
            raise UserNotFound("There is nobody by that id.")
        for issued in (get_grant_model(), get_access_token_model(), get_refresh_token_model()):
            issued.objects.filter(user_id=user_id).delete()


def make_staff(*, user_id: int, is_superuser: bool = False) -> None:
    """Let the user into the admin; ``is_superuser`` lets them do everything there. Raises ``UserNotFound``."""
    rights = {"is_staff": True, **({"is_superuser": True} if is_superuser else {})}
    if not models.User.objects.filter(pk=user_id).update(**rights):
        raise UserNotFound("There is nobody by that id.")


def grant_role(*, user_id: int, role: str, store_id: int | None = None) -> None:
    """Give the user a role of ``domain.ROLES``; granting it again changes nothing.

    Whether the store exists is for the caller to know: stores are above accounts.
    Raises ``RoleInvalid`` or ``UserNotFound``.
    """
    domain.checked_role(role, store_id)
    with sharding.atomic(GLOBAL):
        if not models.User.objects.filter(pk=user_id).exists():
            raise UserNotFound("There is nobody by that id.")
        models.StaffRole.objects.get_or_create(user_id=user_id, role=role, store_id=store_id)


@sharding.repeatable
def set_locale(*, customer_id: int, locale: str) -> None:
    """The language the customer wants to be written to, as one of ``domain.LOCALES``; raises ``LocaleInvalid``."""
    if locale not in domain.LOCALES:
        raise LocaleInvalid(f"Choose one of {', '.join(domain.LOCALES)}.")
    finish_sign_up(user_id=customer_id)
    with sharding.atomic(sharding.home("customer", customer_id)):
        models.CustomerProfile.objects.filter(pk=customer_id).update(locale=locale)


@sharding.repeatable
def add_address(*, customer_id: int, address: AddressInput, now: datetime) -> int:
    """Note where the customer wants things brought; return the address's id.

    The same address again answers the id it has, so that a form sent twice leaves one.

    Raises:
        AddressInvalid: it cannot be an address; its ``field`` says why.
        TooManyAddresses: the customer has ``domain.MAX_ADDRESSES``.
        UserNotFound: there is no such customer.
    """
    address = domain.checked_address(address)
    finish_sign_up(user_id=customer_id)
    with sharding.atomic(sharding.home("customer", customer_id)):
        customer = models.CustomerProfile.objects.select_for_update().filter(pk=customer_id).first()
        if customer is None:
            raise UserNotFound("There is nobody by that id.")
        key = customer.key()
        known = list(models.Address.objects.filter(customer_id=customer_id))
        for row in known:
            if row.as_typed(key=key) == address:
                return int(row.pk)
        if len(known) >= domain.MAX_ADDRESSES:
            raise TooManyAddresses(f"You have {domain.MAX_ADDRESSES} addresses already. Remove one first.")
        details = models.Address.seal(address, key=key)
        return int(models.Address.objects.create(customer=customer, details=details, created_at=now).pk)


@sharding.repeatable
def remove_address(*, customer_id: int, address_id: int) -> None:
    """Forget an address of this customer; raises ``AddressNotFound``, for somebody else's too."""
    removed, _ = models.Address.objects.filter(customer_id=customer_id, pk=address_id).delete()
    if not removed:
        raise AddressNotFound("There is no such address.")


def create_oauth_apps() -> tuple[str, ...]:
    """Register our own apps as public OAuth clients, or bring them up to date; return their client ids."""
    applications = get_application_model()
    with sharding.atomic(GLOBAL):
        for app in domain.OAUTH_APPS:
            applications.objects.update_or_create(
                client_id=app.client_id,
                defaults={
                    "name": app.name,
                    "client_type": applications.CLIENT_PUBLIC,
                    "authorization_grant_type": applications.GRANT_AUTHORIZATION_CODE,
                    "redirect_uris": f"{settings.PUBLIC_URL}/oauth/done/",
                    "skip_authorization": True,  # they are ours: nobody is asked whether we may know what we know
                },
            )
    return tuple(app.client_id for app in domain.OAUTH_APPS)
