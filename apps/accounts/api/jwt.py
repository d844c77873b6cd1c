"""Access tokens: JSON Web Tokens (RFC 7519, profile of RFC 9068) signed with HS256.

A token is good when its signature and claims are, *and* when it is still known here: the one query
that finds its holder also finds out that it was revoked, or that its holder may no longer sign in.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt
from django.conf import settings
from django.http import HttpRequest
from oauthlib.common import Request as OAuthRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from typing_extensions import override

from apps.accounts import domain, models, selectors
from apps.accounts.errors import ScopeMissing, TokenInvalid
from apps.common import clock

LIFETIME = timedelta(minutes=10)
LEEWAY = timedelta(seconds=10)
"""How far two clocks may be apart."""
MAX_LENGTH = 2048

_ALGORITHM = "HS256"
_TYPE = "at+jwt"
_REQUIRED = ["exp", "iat", "aud", "iss", "sub", "jti"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    user_id: int
    client_id: str
    scopes: frozenset[str]


def issued(*, user_id: int, client_id: str, scopes: list[str], now: datetime) -> str:
    """A signed access token. It is of use only once it has been stored as issued (which OAuth's token view does)."""
    claims = {
        "iss": settings.PUBLIC_URL,
        "aud": audience(),
        "sub": str(user_id),
        "client_id": client_id,
        "scope": " ".join(scopes),
        "iat": now,
        "exp": now + LIFETIME,
        "jti": str(uuid.uuid4()),
    }
    return jwt.encode(claims, settings.JWT_KEY, algorithm=_ALGORITHM, headers={"typ": _TYPE})


def audience() -> str:
    """Whom our tokens are for: these interfaces, and nobody else who may trust the same key."""
    return f"{settings.PUBLIC_URL}/api/"


def verified(token: str) -> Claims:
    """What a genuine token says; raises ``TokenInvalid``. Touches no database."""
    if len(token) > MAX_LENGTH:
        raise TokenInvalid("The access token is not valid.")
    try:
        found = jwt.decode_complete(
            token,
            settings.JWT_KEY,
            algorithms=[_ALGORITHM],
            audience=audience(),
            issuer=settings.PUBLIC_URL,
            leeway=LEEWAY,
            options={"require": _REQUIRED},
        )
        claims = found["payload"]
        if found["header"].get("typ") != _TYPE:
            raise TokenInvalid("The access token is not valid.")
        return Claims(
            user_id=int(claims["sub"]),
            client_id=str(claims.get("client_id", "")),
            scopes=frozenset(str(claims.get("scope", "")).split()),
        )
    except (jwt.PyJWTError, ValueError) as error:
        raise TokenInvalid("The access token is not valid.") from error


def user_from_bearer(request: HttpRequest, *, scope: str = domain.CUSTOMER_SCOPE) -> models.User:
    """Whose access token the request carries, for views that are not Django REST framework's. 1 query.

    Raises ``TokenInvalid``, or ``ScopeMissing`` when the token is good but for something else.
    """
    user, claims = _signed_in(request.headers.get("Authorization", ""))
    if scope not in claims.scopes:
        raise ScopeMissing(f"This needs an access token with the scope {scope}.")
    return user


class JWTAuthentication(BaseAuthentication):
    """Signs a request in by its access token; ``request.auth`` is its ``Claims``."""

    @override
    def authenticate(self, request: Request) -> tuple[models.User, Claims] | None:
        header = request.headers.get("Authorization")
        return _signed_in(header) if header else None

    @override
    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class HasScope(BasePermission):
    """The access token carries the view's ``required_scope``; a view that names none lets nobody in."""

    code = ScopeMissing.code
    message = "This needs an access token with another scope."

    @override
    def has_permission(self, request: Request, view: object) -> bool:
        scope = getattr(view, "required_scope", None)
        return isinstance(request.auth, Claims) and scope in request.auth.scopes


def access_token(request: OAuthRequest, refresh_token: bool = False) -> str:
    """OAuth's token generator: the token it then stores and hands out."""
    user: Any = request.user
    return issued(user_id=user.pk, client_id=request.client.client_id, scopes=request.scopes, now=clock.now())


def _signed_in(header: str) -> tuple[models.User, Claims]:
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise TokenInvalid("Send an access token: Authorization: Bearer …")
    claims = verified(token.strip())
    user = selectors.token_holder(token=token.strip())
    if user is None or user.pk != claims.user_id:
        raise TokenInvalid("The access token is not valid any more.")
    return user, claims
