"""Pages as people and screen readers meet them: who asks, and what the HTML says."""

import re
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser

from django.contrib.auth import get_user_model
from django.http import HttpResponse
from django.test import Client
from typing_extensions import override

_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
_SHAPES = {"path", "use"}
_CONTROLS = {"input", "select", "textarea"}
_CSRF = re.compile(r'(name="csrfmiddlewaretoken" value="|"X-CSRFToken": ")[A-Za-z0-9]+')
_ALERT = re.compile(r'<p class="errors[^>]* data-code="(\w+)"[^>]*>(.*?)</p>')


def signed_in(user_id: int, **how: object) -> Client:
    """A browser in which the user has signed in; ``how`` is for Django's ``Client``."""
    client = Client(**how)  # type: ignore[arg-type]
    client.force_login(get_user_model().objects.get(pk=user_id))
    return client


def without_tokens(response: HttpResponse) -> str:
    """The page's text without what is made anew at each request."""
    return _CSRF.sub(r"\1", response.content.decode())


def alert(response: HttpResponse) -> tuple[str, str] | None:
    """Code and sentence of the refusal that the page shows; None when it shows none."""
    found = _ALERT.search(response.content.decode())
    return (found[1], found[2]) if found else None


@dataclass
class Html(HTMLParser):
    """What a page holds, tag by tag; ``faults`` names what a browser would have to guess or a reader would miss."""

    text: str = ""
    h1: int = 0
    scripts: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, response: HttpResponse) -> "Html":
        page = cls()
        page.feed(response.content.decode())
        page.close()
        page._finish()
        return page

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[str] = []
        self._ids: Counter[str] = Counter()
        self._labelled: set[str] = set()
        self._controls: list[tuple[str, str, bool]] = []

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self._ids[given["id"]] += 1
        if tag == "h1":
            self.h1 += 1
        if tag == "script":
            self.scripts.append(given.get("src", ""))
        if tag == "label" and "for" in given:
            self._labelled.add(given["for"])
        if tag in _CONTROLS and given.get("type") != "hidden":
            named = "label" in self._open or "aria-label" in given
            self._controls.append((given.get("id", ""), given.get("name", ""), named))
        if any(name.startswith("on") for name in given):
            self.faults.append(f"a script in an attribute of <{tag}>")
        if tag not in _VOID | _SHAPES:
            self._open.append(tag)

    @override
    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass  # <path/>, <use/>: drawings

    @override
    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"</{tag}> closes something else")

    @override
    def handle_data(self, data: str) -> None:
        self.text += f"{data} "

    def _finish(self) -> None:
        self.faults += [f"<{tag}> is never closed" for tag in self._open]
        self.faults += [f"id {name!r} is there {n} times" for name, n in self._ids.items() if n > 1]
        for id_, name, named in self._controls:
            if not named and id_ not in self._labelled:
                self.faults.append(f"the field {name!r} has no label")
