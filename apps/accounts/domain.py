"""What can be an e-mail address, a name, a street address; who our own apps are."""

import re
import unicodedata
from dataclasses import replace

from apps.accounts.errors import AddressInvalid, EmailInvalid, NameInvalid, RoleInvalid
from apps.accounts.types import AddressInput, OAuthApp
from apps.common.geo import Point

MAX_EMAIL = 254  # RFC 5321 §4.5.3.1.3, without the angle brackets
MAX_LOCAL_PART = 64
MAX_NAME = 100
LOCALES = ("en-US", "es-US")
"""In which we write to customers."""
MAX_ADDRESSES = 50
"""Of one customer: a list that is always short enough to be shown whole."""

CUSTOMER_SCOPE = "customer"
SHOPPER_SCOPE = "shopper"
OAUTH_APPS = (
    OAuthApp(client_id="customer-app", name="Customer app", scope=CUSTOMER_SCOPE),
    OAuthApp(client_id="shopper-app", name="Shopper app", scope=SHOPPER_SCOPE),
)

STORE_ROLES = frozenset({"store_staff", "store_manager"})
"""Roles that are held at one store."""
ROLES = STORE_ROLES | {"support", "operator"}

_STATE = re.compile(
    "A[KLRSZ]|C[AOT]|D[CE]|FL|G[AU]|HI|I[ADLN]|K[SY]|LA|M[ADEINOPST]|N[CDEHJMVY]|O[HKR]|P[AR]|RI|S[CD]|T[NX]|UT|V[AIT]|W[AIVY]"
)
_ATEXT = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_EMAIL = re.compile(rf"(?P<local>{_ATEXT}(?:\.{_ATEXT})*)@{_LABEL}(?:\.{_LABEL})+")
_POSTCODE = re.compile(r"[0-9]{5}(-[0-9]{4})?")
_LONGEST = {"line1": 120, "line2": 120, "city": 80, "label": 40, "instructions": 500}
_REQUIRED = ("line1", "city", "state", "postcode")


def normalised_email(text: str) -> str:
    """The one spelling under which an e-mail address signs in; raises ``EmailInvalid`` for what cannot be one.

    Case is dropped in the local part too: two accounts that differ in it would be a trap, not a wish.
    """
    if len(text) > MAX_EMAIL:
        raise EmailInvalid(f"An e-mail address has at most {MAX_EMAIL} characters.")
    email = unicodedata.normalize("NFKC", text).strip().lower()
    found = _EMAIL.fullmatch(email)
    if found is None or len(email) > MAX_EMAIL or len(found["local"]) > MAX_LOCAL_PART:
        raise EmailInvalid("That is not an e-mail address.")
    return email


def checked_name(text: str) -> str:
    """A person's name with its spaces tidied; raises ``NameInvalid``."""
    name = " ".join(text.split())
    if not 1 <= len(name) <= MAX_NAME:
        raise NameInvalid(f"A name has 1 to {MAX_NAME} characters.")
    if not _is_printable(name):
        raise NameInvalid("A name has no control characters.")
    return name


def checked_role(role: str, store_id: int | None) -> None:
    """Raise ``RoleInvalid`` unless the role exists and is held where such roles are held."""
    if role not in ROLES:
        raise RoleInvalid(f"There is no role {role!r}; there are {', '.join(sorted(ROLES))}.")
    if (role in STORE_ROLES) != (store_id is not None):
        raise RoleInvalid(f"{role} is held {'at a store' if role in STORE_ROLES else 'everywhere, not at a store'}.")


def checked_address(address: AddressInput) -> AddressInput:
    """``address`` tidied up; raises ``AddressInvalid`` naming the field that cannot be meant."""
    tidy = replace(
        address,
        line1=_line(address.line1),
        line2=_line(address.line2),
        city=_line(address.city),
        state=_line(address.state).upper(),
        postcode=_line(address.postcode),
        label=_line(address.label),
        instructions="\n".join(_line(line) for line in address.instructions.strip().splitlines()),
    )
    for field in _REQUIRED:
        if not getattr(tidy, field):
            raise AddressInvalid(f"An address needs its {_SPOKEN.get(field, field)}.", field=field)
    for field, longest in _LONGEST.items():
        text = getattr(tidy, field)
        if len(text) > longest:
            raise AddressInvalid(f"The {_SPOKEN.get(field, field)} has at most {longest} characters.", field=field)
        if not _is_printable(text.replace("\n", " ")):
            raise AddressInvalid(f"The {_SPOKEN.get(field, field)} has no control characters.", field=field)
    if not _STATE.fullmatch(tidy.state):
        raise AddressInvalid("The state is two letters, such as OH.", field="state")
    if not _POSTCODE.fullmatch(tidy.postcode):
        raise AddressInvalid("The ZIP code is five digits, or nine with a dash.", field="postcode")
    try:
        Point(tidy.lat, tidy.lng)
    except ValueError as error:
        raise AddressInvalid("The place is not on the map.", field="lat") from error
    return tidy


_SPOKEN = {"line1": "street and number", "line2": "second line", "postcode": "ZIP code"}


def _line(text: str) -> str:
    return " ".join(text.split())


def _is_printable(text: str) -> bool:
    """False for control characters, line separators, lone surrogates and what is not assigned."""
    return text.isprintable()
