"""Who runs the marketplace, for pages: staff of one store may enter the admin, but see only their own store's."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from typing_extensions import override

from apps.accounts import selectors
from apps.common.api.admin import ReadOnly

_ANSWERS = "_roles_held"


def is_operator(request: HttpRequest) -> bool:
    """A superuser, or who holds the role everywhere. 1 query a request: the side bar asks for every model's page."""
    return _holds(request, "operator")


def helps_customers(request: HttpRequest) -> bool:
    """Who runs the marketplace, or holds the role of support. 1 query more a request for who is no operator."""
    return is_operator(request) or _holds(request, "support")


def _holds(request: HttpRequest, role: str) -> bool:
    user_id = int(request.user.pk or 0)
    if request.user.is_superuser or not user_id:
        return bool(user_id)
    answers: dict[str, bool] = request.__dict__.setdefault(_ANSWERS, {})
    if role not in answers:
        answers[role] = selectors.has_role(user_id=user_id, role=role)
    return answers[role]


def only_helpers(request: HttpRequest) -> None:
    """Raises ``PermissionDenied`` for who may not look into customers' reports."""
    if not helps_customers(request):
        raise PermissionDenied


def only_operators(request: HttpRequest) -> None:
    """Raises ``PermissionDenied`` for anybody else."""
    if not is_operator(request):
        raise PermissionDenied


class ForOperators(ReadOnly):
    """Pages of the admin that operators may look at."""

    @override
    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return is_operator(request)

    @override
    def has_module_permission(self, request: HttpRequest) -> bool:
        return is_operator(request)
