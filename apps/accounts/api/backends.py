from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest
from typing_extensions import override


class EmailBackend(ModelBackend):
    """Sign-in with ``authenticate(request, email=…, password=…)``.

    The manager finds the account by the address's keyed hash. An unknown address costs one password
    hash, as a wrong password does: neither the answer nor its time says which it was.
    """

    @override
    def authenticate(  # type: ignore[override]  # the user name is an e-mail address, and may be called so
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        email: str | None = None,
        **kwargs: Any,
    ) -> AbstractBaseUser | None:
        return super().authenticate(request, username=email or username, password=password)
