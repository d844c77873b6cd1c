"""What a business rule says when it says no.

Services raise these; ``apps.common.api`` turns them into HTTP and GraphQL answers. ``code`` is a
promise to clients and never changes; the message is for people and may.
"""

from typing import ClassVar


class DomainError(Exception):
    code: ClassVar[str] = "domain_error"
    status: ClassVar[int] = 400


class Invalid(DomainError):
    """What was sent cannot be meant."""

    code = "invalid"
    status = 422


class NotFound(DomainError):
    """It is not there, or it is somebody else's: callers cannot tell which."""

    code = "not_found"
    status = 404


class Forbidden(DomainError):
    code = "forbidden"
    status = 403


class Conflict(DomainError):
    """It could be meant, but not now: the state of things is against it."""

    code = "conflict"
    status = 409


class Unavailable(DomainError):
    """Somebody we depend on does not answer; the same call may work later."""

    code = "unavailable"
    status = 503


class IdempotencyConflict(Invalid):
    """The idempotency key was used before, for something else."""

    code = "idempotency_conflict"


class IdempotencyKeyMissing(Invalid):
    code = "idempotency_key_missing"


class SignInRequired(Forbidden):
    code = "sign_in_required"
    status = 401
