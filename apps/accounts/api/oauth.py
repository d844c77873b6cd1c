"""Where django-oauth-toolkit is told what it cannot know: named in settings, called by its views."""

from typing import Any

from oauth2_provider.models import AbstractApplication
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauth2_provider.scopes import SettingsScopes
from oauthlib.common import Request
from typing_extensions import override

from apps.accounts import domain


class ClientScopes(SettingsScopes):  # type: ignore[misc]
    """Each of our apps asks for, and gets, its own scope; any other client gets none."""

    @override
    def get_available_scopes(
        self, application: AbstractApplication | None = None, request: Request | None = None, *args: Any, **kwargs: Any
    ) -> list[str]:
        client_id = application.client_id if application else None
        return [app.scope for app in domain.OAUTH_APPS if app.client_id == client_id]

    @override
    def get_default_scopes(
        self, application: AbstractApplication | None = None, request: Request | None = None, *args: Any, **kwargs: Any
    ) -> list[str]:
        return self.get_available_scopes(application, request)


class ActiveUsersOnly(OAuth2Validator):  # type: ignore[misc]
    """Codes and refresh tokens of somebody who may no longer sign in are worth nothing, nor is what cannot be one."""

    @override
    def _load_application(self, client_id: str, request: Request) -> AbstractApplication | None:
        return None if "\x00" in client_id else super()._load_application(client_id, request)

    @override
    def validate_code(
        self, client_id: str, code: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        if "\x00" in code:
            return False
        return bool(super().validate_code(client_id, code, client, request, *args, **kwargs) and request.user.is_active)

    @override
    def validate_refresh_token(
        self, refresh_token: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        is_good = super().validate_refresh_token(refresh_token, client, request, *args, **kwargs)
        return bool(is_good and request.user.is_active)
