from apps.common.errors import Conflict, Forbidden, Invalid, NotFound


class EmailInvalid(Invalid):
    code = "email_invalid"


class EmailTaken(Conflict):
    code = "email_taken"


class NameInvalid(Invalid):
    code = "name_invalid"


class PasswordTooWeak(Invalid):
    code = "password_too_weak"


class UserNotFound(NotFound):
    code = "user_not_found"


class RoleInvalid(Invalid):
    code = "role_invalid"


class AddressNotFound(NotFound):
    code = "address_not_found"


class AddressInvalid(Invalid):
    """``field`` is the attribute of ``AddressInput`` that cannot be meant."""

    code = "address_invalid"

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field


class LocaleInvalid(Invalid):
    code = "locale_invalid"


class TooManyAddresses(Conflict):
    code = "too_many_addresses"


class TokenInvalid(Forbidden):
    """No access token, or one that is not ours, not for us, over, revoked or of somebody who may not sign in."""

    code = "token_invalid"
    status = 401


class ScopeMissing(Forbidden):
    """The access token is good, but not for this."""

    code = "scope_missing"
