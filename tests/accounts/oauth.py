"""An app that signs people in through OAuth 2 with PKCE, by Django's test client."""

import base64
import hashlib
import secrets
from urllib.parse import parse_qs, urlsplit

from django.conf import settings

REDIRECT = f"{settings.PUBLIC_URL}/oauth/done/"


def challenge_of(verifier):
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


class App:
    def __init__(self, client, client_id="customer-app"):
        self.client = client
        self.client_id = client_id
        self.verifier = secrets.token_urlsafe(48)

    def authorize(self, **changes):
        """The answer to sending the browser to the authorisation page."""
        query = {
            "client_id": self.client_id,
            "response_type": "code",
            "redirect_uri": REDIRECT,
            "code_challenge": challenge_of(self.verifier),
            "code_challenge_method": "S256",
            "state": "xyz",
        } | changes
        return self.client.get("/oauth/authorize/", {name: value for name, value in query.items() if value is not None})

    def code(self, **changes):
        return returned(self.authorize(**changes))["code"]

    def exchange(self, code, **changes):
        return self._post(grant_type="authorization_code", code=code, redirect_uri=REDIRECT, **self._verifier(changes))

    def refresh(self, refresh_token):
        return self._post(grant_type="refresh_token", refresh_token=refresh_token)

    def revoke(self, token):
        return self.client.post("/oauth/revoke/", {"client_id": self.client_id, "token": token})

    def tokens(self):
        """Access and refresh token of whoever is signed in."""
        answer = self.exchange(self.code())
        assert answer.status_code == 200, answer.content
        return answer.json()

    def _verifier(self, changes):
        return {"code_verifier": self.verifier} | changes

    def _post(self, **form):
        return self.client.post("/oauth/token/", {"client_id": self.client_id} | form)


def returned(response):
    """What the app reads from the address it is sent back to."""
    assert response.status_code == 302, response.content
    assert response["Location"].startswith(REDIRECT + "?"), response["Location"]
    return {name: values[0] for name, values in parse_qs(urlsplit(response["Location"]).query).items()}
