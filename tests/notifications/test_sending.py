"""Once at least, twice at most, whatever the mail server does and whoever dies."""

import logging
import smtplib
from dataclasses import replace
from datetime import timedelta
from string import Formatter

import pytest
from django.core import mail
from django.db import IntegrityError, connections

import sharding
from apps.accounts import services as accounts
from apps.accounts.models import CustomerProfile
from apps.common import clock
from apps.notifications import domain, models, selectors, services
from apps.notifications.errors import KindUnknown, MustBeTold, NothingToSay, NotYet
from apps.notifications.tasks import send_due as task
from apps.notifications.wording import WORDS
from tests.accounts.factories import NOW, make_customer
from tests.threads import answers_at_once

pytestmark = [pytest.mark.django_db(transaction=True, databases="__all__"), pytest.mark.usefixtures("composers")]

MINUTE = timedelta(minutes=1)
CUT = smtplib.SMTPServerDisconnected("cut while somebody@example.com was told")


def tell(customer_id, kind="order_placed", key="order-1:placed", now=NOW, **facts):
    return services.notify(customer_id=customer_id, kind=kind, key=key, facts=facts, now=now)


def run(after=timedelta(0)):
    """All shards; how many letters were taken."""
    return sum(services.send_due(using=alias, now=NOW + after).sent for alias in sharding.aliases("customer"))


def state(customer_id):
    (row,) = selectors.to_customer(customer_id=customer_id)
    return row.status, row.reason, row.tries, row.copies


def two_customers():
    made = [make_customer() for _ in range(2)]
    while len({sharding.alias_for("customer", one) for one in made}) < 2:
        made[1] = make_customer()
    return made


# Once


def test_what_is_told_twice_is_sent_once_to_each_on_their_own_shard():
    customers = two_customers()
    for customer in customers:
        assert tell(customer)
        assert not tell(customer)
        assert tell(customer, key="order-2:placed")
    assert run() == 4
    assert run(MINUTE) == 0
    assert [len(one.to) for one in mail.outbox] == [1, 1, 1, 1]
    assert {status for c in customers for status in (n.status for n in selectors.to_customer(customer_id=c))} == {
        "sent"
    }


def test_twenty_events_and_four_senders_at_once_make_one_letter():
    customer = make_customer()
    answers = answers_at_once(lambda _: tell(customer), 20)
    assert sorted(answers) == [False] * 19 + [True]
    alias = sharding.alias_for("customer", customer)
    runs = answers_at_once(lambda _: services.send_due(using=alias, now=NOW), 4)
    assert sum(one.sent for one in runs) == 1
    assert len(mail.outbox) == 1


def test_no_transaction_is_open_while_the_mail_server_is_asked(server):
    customer = make_customer()
    tell(customer)
    seen = []
    server.on_send = lambda: seen.append([c.in_atomic_block for c in connections.all(initialized_only=True)])
    assert run() == 1
    assert len(seen) == 1
    assert not any(seen[0])


def test_an_unknown_kind_is_refused_and_nothing_is_taken_down():
    customer = make_customer()
    with pytest.raises(KindUnknown):
        tell(customer, kind="birthday")
    assert selectors.to_customer(customer_id=customer) == ()


# The mail server


def test_a_server_that_is_away_costs_no_copy_and_is_tried_with_growing_pauses(server):
    customer = make_customer()
    tell(customer)
    server.is_away = True
    assert run() == 0
    assert state(customer) == ("queued", "ConnectionRefusedError", 1, 0)
    assert run(timedelta(seconds=14)) == 0
    assert state(customer)[2] == 1
    run(timedelta(seconds=15))
    assert state(customer)[2] == 2
    run(timedelta(seconds=44))
    assert state(customer)[2] == 2
    server.is_away = False
    assert run(timedelta(seconds=45)) == 1
    assert state(customer) == ("sent", "", 3, 1)


def test_a_server_that_stays_away_is_given_up_after_twelve_tries_and_a_person_is_called(server, caplog):
    customer = make_customer()
    tell(customer)
    server.is_away = True
    for hours in range(20):
        run(timedelta(hours=hours))
    assert state(customer) == ("failed", "ConnectionRefusedError", 12, 0)
    assert "notifications.failed order_placed" in caplog.text


def test_a_line_that_is_cut_is_sent_once_more_and_never_a_third_time(server):
    customer = make_customer()
    tell(customer)
    server.after = [CUT, TimeoutError("hung"), CUT]
    assert run() == 0
    assert state(customer) == ("queued", "SMTPServerDisconnected", 1, 1)
    run(MINUTE)
    assert state(customer) == ("failed", "outcome_unknown", 2, 2)
    for minutes in (5, 60, 600):
        run(minutes * MINUTE)
    assert len(mail.outbox) == 2
    assert len({one.extra_headers["Message-ID"] for one in mail.outbox}) == 1


def test_a_server_that_hangs_counts_like_one_that_took_it(server):
    customer = make_customer()
    tell(customer)
    server.faults = [TimeoutError("timed out")]
    assert run() == 0
    assert run(MINUTE) == 1
    assert state(customer) == ("sent", "", 2, 2)


def test_a_temporary_refusal_is_tried_again_and_is_no_copy(server):
    customer = make_customer()
    tell(customer)
    server.faults = [
        smtplib.SMTPRecipientsRefused({"ada@example.com": (450, b"later")}),
        smtplib.SMTPDataError(451, b"later"),
        smtplib.SMTPRecipientsRefused({"ada@example.com": (550, b"5.7.1 relaying denied")}),
        smtplib.SMTPRecipientsRefused({"ada@example.com": (552, b"mailbox full")}),
        smtplib.SMTPSenderRefused(550, b"who are you", "orders@larder.example"),
    ]
    for minute in (0, 1, 2, 4, 8):
        run(minute * MINUTE)
    assert state(customer) == ("queued", "SMTPSenderRefused", 5, 0)
    assert selectors.preferences(customer_id=customer).is_reachable
    assert run(16 * MINUTE) == 1
    assert state(customer) == ("sent", "", 6, 1)


def test_a_letter_that_is_refused_for_good_fails_and_the_address_stays_good(server):
    customer = make_customer()
    tell(customer)
    server.faults = [smtplib.SMTPDataError(554, b"looks like spam")]
    run()
    assert state(customer) == ("failed", "letter_refused", 1, 0)
    assert selectors.preferences(customer_id=customer).is_reachable


@pytest.mark.parametrize("said", [b"no such user", b"5.1.1 no such user", b"5.2.1 mailbox closed"])
def test_a_refused_address_gets_nothing_more_until_somebody_says_so(server, said):
    customer = make_customer()
    tell(customer)
    server.faults = [smtplib.SMTPRecipientsRefused({"ada@example.com": (550, said)})]
    run()
    assert state(customer) == ("failed", "address_refused", 1, 0)
    assert not selectors.preferences(customer_id=customer).is_reachable
    tell(customer, key="order-2:placed")
    assert run() == 0
    assert selectors.to_customer(customer_id=customer)[0].status == "skipped"
    assert services.lift_refusal(customer_id=customer)
    assert not services.lift_refusal(customer_id=customer)
    tell(customer, key="order-3:placed")
    assert run() == 1
    assert len(mail.outbox) == 1


def test_an_address_that_no_letter_can_bear_is_set_aside_and_the_others_go_on(server):
    first, second = two_customers()
    tell(first)
    tell(second)
    server.faults = [ValueError("Header values can't contain newlines")]
    assert run() == 1
    assert sorted(state(one) for one in (first, second)) == [
        ("failed", "address_invalid", 1, 0),
        ("sent", "", 1, 1),
    ]


def test_the_task_leaves_a_broken_server_alone_for_a_while(server, settings):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    customers = two_customers()
    for customer in customers:
        tell(customer, now=NOW)
    server.is_away = True

    def every_shard():
        with clock.shifted_to(NOW):
            for alias in sharding.aliases("customer"):
                task(alias)
        return sorted(state(customer)[2] for customer in customers)

    assert every_shard() == [0, 1]
    assert every_shard() == [0, 1]


# Crashes


def test_a_sender_that_dies_before_the_answer_leaves_one_more_copy_to_send(server):
    class Killed(BaseException):
        pass

    customer = make_customer()
    tell(customer)
    server.after = [Killed()]
    with pytest.raises(Killed):
        run()
    assert state(customer) == ("sending", "", 1, 1)
    run(MINUTE)
    assert state(customer) == ("sending", "", 1, 1)
    run(2 * MINUTE)
    assert state(customer)[0] == "queued"
    server.after = [Killed()]
    with pytest.raises(Killed):
        run(3 * MINUTE)
    run(10 * MINUTE)
    assert state(customer) == ("failed", "outcome_unknown", 2, 2)
    assert len(mail.outbox) == 2


def test_a_sender_that_dies_before_the_attempt_is_written_has_done_nothing(server):
    class Killed(BaseException):
        pass

    def die():
        raise Killed

    customer = make_customer()
    tell(customer)
    server.open_before, server.open = server.open, lambda self: die()
    try:
        with pytest.raises(Killed):
            run()
    finally:
        server.open = server.open_before
    assert state(customer) == ("queued", "", 0, 0)
    assert run() == 1


def test_a_late_answer_of_one_that_was_given_up_changes_nothing(server):
    customer = make_customer()
    tell(customer)
    alias = sharding.alias_for("customer", customer)

    def others_go_on():
        server.on_send = None
        services.send_due(using=alias, now=NOW + 3 * MINUTE)
        services.send_due(using=alias, now=NOW + 4 * MINUTE)

    server.on_send = others_go_on
    services.send_due(using=alias, now=NOW)
    assert state(customer) == ("sent", "", 2, 2)
    assert len(mail.outbox) == 2


# What is not sent


def test_what_is_optional_can_be_switched_off_and_the_rest_cannot():
    customer = make_customer()
    services.set_muted(customer_id=customer, kinds=["order_on_the_way"])
    with pytest.raises(MustBeTold):
        services.set_muted(customer_id=customer, kinds=["order_delivered"])
    assert selectors.preferences(customer_id=customer).muted == {"order_on_the_way"}
    tell(customer, kind="order_on_the_way")
    assert run() == 0
    assert state(customer) == ("skipped", "muted", 0, 0)
    services.set_muted(customer_id=customer, kinds=[])
    tell(customer, kind="order_on_the_way", key="order-2:way")
    assert run() == 1


def test_what_is_too_late_to_be_of_use_is_not_sent():
    customer = make_customer()
    tell(customer, kind="order_on_the_way")
    assert run(timedelta(hours=1, seconds=1)) == 0
    assert state(customer) == ("skipped", "too_late", 0, 0)


def test_who_is_gone_is_told_nothing():
    tell(9_999_999)
    assert run() == 0
    assert state(9_999_999) == ("skipped", "nobody", 0, 0)


def test_composers_may_wait_or_find_nothing_to_say(composers):
    customer = make_customer()

    def wait(customer_id, facts, language):
        raise NotYet(MINUTE)

    def nothing(customer_id, facts, language):
        raise NothingToSay

    known = composers["order_placed"]
    composers["order_placed"] = wait
    tell(customer)
    run()
    assert state(customer) == ("queued", "", 0, 0)
    composers["order_placed"] = known
    assert run(timedelta(seconds=59)) == 0
    assert run(MINUTE) == 1
    composers["order_canceled"] = nothing
    other = make_customer()
    tell(other, kind="order_canceled")
    run()
    assert state(other) == ("skipped", "nothing_to_say", 0, 0)


def test_a_letter_that_cannot_be_written_does_not_keep_the_others(composers, caplog):
    private = "20 Spring Street, ada@example.com"

    def broken(customer_id, facts, language):
        raise RuntimeError(private)

    composers["order_placed"] = broken
    first, second = make_customer(), make_customer()
    tell(first)
    tell(second, kind="order_canceled")
    assert run() == 1
    assert state(first) == ("queued", "not_composed", 1, 0)
    assert private not in caplog.text
    assert "in broken" in caplog.text


def test_a_letter_to_who_cannot_be_read_any_more_does_not_keep_the_others():
    erased, other = make_customer(), make_customer()
    tell(erased)
    tell(other)
    CustomerProfile.objects.filter(pk=erased).update(data_key=b"gone")
    assert run() == 1
    assert state(erased) == ("queued", "not_composed", 1, 0)


def test_a_letter_that_may_have_arrived_is_not_said_to_be_skipped(server):
    customer = make_customer()
    tell(customer, kind="order_on_the_way")
    server.after = [CUT]
    run()
    assert state(customer) == ("queued", "SMTPServerDisconnected", 1, 1)
    services.set_muted(customer_id=customer, kinds=["order_on_the_way"])
    assert run(MINUTE) == 0
    assert state(customer) == ("failed", "outcome_unknown", 1, 1)
    assert len(mail.outbox) == 1


# What it says


@pytest.mark.parametrize(
    ("locale", "subject", "foot"),
    [
        ("en-US", "We have your order from North <Market>", "always sent"),
        ("es-US", "Tenemos tu pedido de North <Market>", "se envían siempre"),
    ],
)
def test_letters_are_in_the_customers_language_as_text_and_html(locale, subject, foot):
    customer = make_customer(email=f"ada-{locale}@example.com")
    accounts.set_locale(customer_id=customer, locale=locale)
    tell(customer)
    assert run() == 1
    (letter,) = mail.outbox
    assert letter.subject == subject
    assert letter.to == [f"ada-{locale}@example.com".lower()]
    assert letter.from_email == "Larder <orders@larder.example>"
    assert "North <Market>" in letter.body
    assert foot in letter.body
    ((html, mimetype),) = letter.alternatives
    assert mimetype == "text/html"
    assert "North &lt;Market&gt;" in html
    assert "<Market>" not in html
    assert f'lang="{locale[:2]}"' in html
    assert 'href="https://x.example/o/"' in html


def test_a_subject_has_one_line(composers):
    known = composers["order_placed"]

    def two_lines(customer_id, facts, language):
        letter = known(customer_id, facts, language)
        return replace(letter, values={**letter.values, "store": "North\r\nBcc: everybody@example.com"})

    composers["order_placed"] = two_lines
    customer = make_customer()
    tell(customer)
    assert run() == 1
    (letter,) = mail.outbox
    assert letter.subject == "We have your order from North Bcc: everybody@example.com"
    assert letter.recipients() == letter.to


def test_nothing_personal_is_logged_or_kept_in_the_row(server, caplog):
    caplog.set_level(logging.DEBUG)
    customer = make_customer(email="canary.person@example.com", name="Canary Person")
    tell(customer)
    server.is_away = True
    run()
    server.is_away = False
    server.faults = [smtplib.SMTPRecipientsRefused({"canary.person@example.com": (550, b"no canary.person here")})]
    run(MINUTE)
    logged = "\n".join(r.getMessage() + str(r.exc_info or "") for r in caplog.records if r.name.startswith("apps"))
    assert "notifications.failed" in logged
    assert "canary" not in logged.lower()
    rows = [*models.Notification.objects.filter(customer_id=customer).values()]
    rows += [*models.RefusedAddress.objects.filter(pk=customer).values()]
    assert len(rows) == 2
    assert "canary" not in str(rows).lower()


def test_the_database_refuses_a_third_copy():
    customer = make_customer()
    tell(customer)
    mine = models.Notification.objects.filter(customer_id=customer)
    with pytest.raises(IntegrityError, match="notifications_twice_at_most"):
        mine.update(copies=3)
    assert state(customer)[3] == 0


def test_both_languages_say_the_same_things():
    def names(words):
        return {n for text in (words.subject, *words.paragraphs) for _, n, _, _ in Formatter().parse(text) if n}

    assert WORDS.keys() == set(domain.LANGUAGES)
    for language in domain.LANGUAGES:
        assert WORDS[language].keys() == domain.KINDS.keys()
    for kind in domain.KINDS:
        assert names(WORDS["en"][kind]) == names(WORDS["es"][kind])


@pytest.mark.parametrize(("tries", "seconds"), [(0, 15), (1, 15), (2, 30), (3, 60), (8, 1920), (9, 3600), (12, 3600)])
def test_pauses_grow_to_an_hour(tries, seconds):
    assert domain.delay(tries) == timedelta(seconds=seconds)
