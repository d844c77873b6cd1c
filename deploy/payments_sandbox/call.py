"""One request, as the handlers see it."""

import re
from dataclasses import dataclass
from typing import Any

from deploy.payments_sandbox.errors import ApiError, invalid
from deploy.payments_sandbox.state import Object, Store


@dataclass(frozen=True)
class Call:
    """`id` is the object named in the path; `base_url` is where this server's pages are.

    `account` is the connected account in whose name the platform asks; empty for its own.
    """

    store: Store
    params: dict[str, Any]
    id: str
    is_publishable: bool
    path: str
    base_url: str
    account: str = ""

    def subject(self, kind: str) -> Object:
        """The object of the path. A publishable key sees an intent only together with its client secret."""
        found = self.store.get(kind, self.id, param="intent" if kind.endswith("_intent") else "id")
        if self.is_publishable and self.params.get("client_secret") != found.get("client_secret"):
            raise ApiError(400, "The client_secret provided does not match.", code=f"{kind}_invalid_parameter")
        return found

    def linked(self, kind: str, param: str) -> str | None:
        """The id given in `param`, if one is given; refuses ids of nothing."""
        given = self.params.get(param)
        return None if given is None else str(self.store.get(kind, given, param=param, status=400)["id"])


def checked_url(given: Object, param: str) -> str | None:
    """A web address or an app's own; it ends in a Location header, so nothing else gets through."""
    url: str | None = given.get(param)
    if url is not None and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[!-~]+", url):
        raise invalid("Not a valid URL", code="url_invalid", param=param)
    return url


def merged_metadata(before: Object, given: Any) -> Object:
    """Stripe merges metadata; an empty value removes its key, and an empty string removes all."""
    if given == "":
        return {}
    if any(not isinstance(value, str) for value in (given or {}).values()):
        raise invalid("Metadata values must be strings.", param="metadata")
    after = before | (given or {})
    if len(after) > 50 or any(len(key) > 40 or len(value) > 500 for key, value in after.items()):
        raise invalid("Metadata can have up to 50 keys of 40 and values of 500 characters.", param="metadata")
    return {key: value for key, value in after.items() if value != ""}
