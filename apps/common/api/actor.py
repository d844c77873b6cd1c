"""Who is asking."""

from django.http import HttpRequest
from rest_framework.request import Request

from apps.common.errors import SignInRequired


def user_id(request: Request | HttpRequest) -> int:
    """Id of the signed-in person; raises ``SignInRequired`` when nobody is signed in."""
    if not request.user.is_authenticated:
        raise SignInRequired("Sign in first.")
    return int(request.user.pk)


customer_id = user_id
"""Every signed-in person may order: the customer's id is the user's."""

shopper_id = user_id
"""The shopper's id is the user's; whether they are a shopper is for ``apps.shoppers`` to say."""
