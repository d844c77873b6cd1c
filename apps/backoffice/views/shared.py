from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from apps.accounts import selectors as accounts


def only_operators(request: HttpRequest) -> None:
    """Staff of one store may enter the admin, but not read everybody's orders."""
    if not (request.user.is_superuser or accounts.has_role(user_id=int(request.user.pk or 0), role="operator")):
        raise PermissionDenied
