"""Letters of an installation without a mail server are files, to be looked at."""

import pytest
from django.core import mail

from apps.notifications import demo_outbox, selectors


@pytest.fixture
def folder(settings, tmp_path):
    settings.EMAIL_BACKEND = "apps.notifications.demo_outbox.OutboxBackend"
    settings.EMAIL_FOLDER = tmp_path / "mail"
    return settings.EMAIL_FOLDER


def send(subject):
    letter = mail.EmailMultiAlternatives(subject=subject, body="Hello, señora", to=["ada@example.com"])
    letter.attach_alternative("<p>Hello, señora</p>", "text/html")
    assert letter.send() == 1


def test_the_last_ones_come_first_as_their_readers_would_see_them(folder):
    assert selectors.shown_letters() == ()
    for subject in ("One", "Two: ñ"):
        send(subject)
    newest, oldest = selectors.shown_letters()
    assert (newest.subject, oldest.subject) == ("Two: ñ", "One")
    assert (newest.to, newest.text.strip(), newest.html.strip()) == (
        "ada@example.com",
        "Hello, señora",
        "<p>Hello, señora</p>",
    )
    assert selectors.shown_letter(name=newest.name) == newest


@pytest.mark.parametrize("name", ["", "nothing", "../../etc/passwd", "x.part"])
def test_what_is_no_letter_is_none(folder, name):
    send("One")
    assert selectors.shown_letter(name=name) is None


def test_the_oldest_go(folder, monkeypatch):
    monkeypatch.setattr(demo_outbox, "KEPT", 3)
    for n in range(5):
        send(f"Letter {n}")
    assert [one.subject for one in selectors.shown_letters()] == ["Letter 4", "Letter 3", "Letter 2"]
    assert len(list(folder.iterdir())) == 3
