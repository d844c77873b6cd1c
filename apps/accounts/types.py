"""What accounts hands to others, and what it takes from them."""

from dataclasses import dataclass

from apps.common.geo import Point


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    customer_id: int
    name: str
    email: str
    locale: str
    """A BCP 47 tag: ``en-US``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressInput:
    """A United States address as somebody typed it; ``domain.checked_address`` says whether it can be one."""

    line1: str
    city: str
    state: str
    """Two letters: ``OH``."""
    postcode: str
    lat: float
    lng: float
    line2: str = ""
    label: str = ""
    """What its owner calls it: ``Home``."""
    instructions: str = ""
    """For whoever brings the bags."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    id: int
    label: str
    line1: str
    line2: str
    city: str
    state: str
    postcode: str
    point: Point
    instructions: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthApp:
    """A public client of our own. Its tokens carry exactly one scope."""

    client_id: str
    name: str
    scope: str
