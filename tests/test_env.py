"""What the environment may say, and what it may not."""

import logging
import os
import re
import subprocess
import sys

import pytest

from instacart.env import BUCKETS, KEYSPACES, ROOT, Env, MailServer, SettingMissing, django_database, mail_server

SMTP = "django.core.mail.backends.smtp.EmailBackend"
URL = "postgresql://larder:{password}@db.internal:5432/{name}"
SECRETS = {
    "SECRET_KEY": "k3-page-at-least-fifty-characters-8x4Zq0Vd7LrTn2YbWc6HsUj9MfPa1GeKi5Xo",
    "FIELD_KEY": "k3-field-8x4Zq0Vd7LrTn2YbWc6HsUj9MfPa1GeKi5Xo",
    "JWT_KEY": "k3-token-8x4Zq0Vd7LrTn2YbWc6HsUj9MfPa1GeKi5Xo",
    "STRIPE_SECRET_KEY": "sk_test_k3secret",
    "STRIPE_WEBHOOK_SECRET": "whsec_k3webhook",
}
PASSWORDS = ("k3dbpassword", "k3redispassword", "k3demopassword", "k3mailpassword")
PRODUCTION = {
    "INSTACART_ENV": "production",
    **SECRETS,
    "DATABASE_URLS": ",".join(
        f"{alias}={URL.format(password=PASSWORDS[0], name=alias)}"
        for alias in ("default", "customer_0", "customer_1", "store_0", "shopper_0")
    ),
    "REDIS_URL": f"redis://:{PASSWORDS[1]}@redis.internal:6379/0",
    "STRIPE_PUBLISHABLE_KEY": "pk_test_k3",
    "PUBLIC_URL": "https://larder.example",
    "WEBSOCKET_URL": "wss://larder.example",
    "ALLOWED_HOSTS": "larder.example",
    "EMAIL_URL": "smtp+starttls://larder:k3mailpassword@mail.internal:587",
    "EMAIL_FROM": "Larder <orders@larder.example>",
}
REQUIRED = [name for name in PRODUCTION if name != "INSTACART_ENV"]


def urls(**counts: int) -> str:
    """``DATABASE_URLS`` with so many databases of each keyspace; one where nothing is said."""
    aliases = ["default"] + [f"{keyspace}_{n}" for keyspace in KEYSPACES for n in range(counts.get(keyspace, 1))]
    return ",".join(f"{alias}=postgresql://larder@db/{alias}" for alias in aliases)


def refusal(environ: dict[str, str]) -> str:
    with pytest.raises(SettingMissing) as refused:
        Env.read(environ)
    return str(refused.value)


def test_nothing_set_is_a_checkout_that_works():
    env = Env.read({})
    assert list(env.database_urls) == [
        *["default", "customer_0", "customer_1", "customer_2"],
        *["store_0", "store_1", "store_2", "shopper_0", "shopper_1", "shopper_2"],
    ]
    assert env.database_urls["store_2"] == f"postgresql://postgres@/store_2?host={ROOT}/var/postgres/2"
    assert env.shard_map["store"] == ((0, 2999, "store_0"), (3000, 5999, "store_1"), (6000, 9999, "store_2"))
    assert (env.production, env.demo, env.stripe_api_base, env.site_name) == (False, True, None, "Larder")
    assert (env.public_url, env.websocket_url) == ("http://127.0.0.1:8000", "ws://127.0.0.1:8001")
    assert env.var == ROOT / "var"


def test_a_variable_that_is_empty_is_one_that_is_not_set():
    empty = dict.fromkeys(
        [
            *PRODUCTION,
            *("SHARD_MAP", "REPLICAS", "METRICS_TOKEN", "SITE_NAME", "INSTACART_VAR", "LOG_LEVEL"),
            *("INSTACART_DEMO", "DEMO_PAST_ORDERS"),
        ],
        "",
    )
    assert Env.read(empty) == Env.read({})


def test_copies_are_no_shards():
    given = {"DATABASE_URLS": urls(store=4), "REPLICAS": "store_0=store_2, store_0=store_3"}
    env = Env.read(given)
    assert env.replicas == {"store_0": ("store_2", "store_3")}
    assert env.shard_map["store"] == ((0, 4999, "store_0"), (5000, 9999, "store_1"))
    assert env.spares["store"] == ()
    assert refusal(given | {"SHARD_MAP": "store:0-9999=store_2"}) == (
        "SHARD_MAP: store names 'store_2', which DATABASE_URLS does not have"
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("store_0=store_9", "'store_0=store_9' names 'store_9', which DATABASE_URLS does not have"),
        ("store_0", "'store_0' names '', which DATABASE_URLS does not have"),
        ("store_0=store_0", "a copy is of one database, is not copied again, and is not default"),
        ("store_0=default", "a copy is of one database, is not copied again, and is not default"),
        ("store_0=store_2,store_1=store_2", "a copy is of one database, is not copied again, and is not default"),
    ],
)
def test_copies_that_cannot_be(text, sentence):
    assert refusal({"DATABASE_URLS": urls(store=4), "REPLICAS": text}) == f"REPLICAS: {sentence}"


def test_production_takes_what_it_is_given():
    env = Env.read(
        {**PRODUCTION, "PUBLIC_URL": "https://larder.example/", "ALLOWED_HOSTS": "larder.example,www.example"}
    )
    assert env.production
    assert env.secret_key == SECRETS["SECRET_KEY"]
    assert env.public_url == "https://larder.example"
    assert env.allowed_hosts == ("larder.example", "www.example")
    assert env.shard_map["customer"] == ((0, 4999, "customer_0"), (5000, 9999, "customer_1"))
    assert env.shard_map["store"] == ((0, 9999, "store_0"),)


def test_production_names_everything_that_is_missing_at_once():
    named = refusal({"INSTACART_ENV": "production"}).rpartition(": ")[2].split(", ")
    assert sorted(named) == sorted(REQUIRED)


def test_production_names_what_is_missing_even_if_the_shard_map_speaks_of_databases_that_are_missing_too():
    environ = {**PRODUCTION, "SHARD_MAP": "customer:0-9999=customer_7", "DATABASE_URLS": ""}
    assert refusal(environ) == "production needs these variables and guesses none of them: DATABASE_URLS"


@pytest.mark.parametrize("name", REQUIRED)
def test_production_does_not_start_without_any_one_of_them(name):
    without = {key: value for key, value in PRODUCTION.items() if key != name}
    assert refusal(without) == f"production needs these variables and guesses none of them: {name}"


def test_production_is_never_a_demo():
    assert not Env.read({**PRODUCTION, "INSTACART_DEMO": "1"}).demo


@pytest.mark.parametrize("text", ["prod", "Production", "development", "1"])
def test_a_misspelt_production_does_not_start_with_the_secrets_of_a_checkout(text):
    assert refusal({"INSTACART_ENV": text}) == f"INSTACART_ENV is {text!r}; it is either production or not set"


@pytest.mark.parametrize(
    ("shard_map", "sentence"),
    [
        ("store:0-4999=store_0,5001-9999=store_1", "store must cover 0-9999 without gaps; look at 5001-9999"),
        ("store:0-5000=store_0,5000-9999=store_1", "store must cover 0-9999 without gaps; look at 5000-9999"),
        ("store:1-9999=store_0", "store must cover 0-9999 without gaps; look at 1-9999"),
        ("store:0-4999=store_0,5000-4999=store_1", "store must cover 0-9999 without gaps; look at 5000-4999"),
        ("store:5000-9999=store_1,0-4999=store_0", "store must cover 0-9999 without gaps; look at 5000-9999"),
        ("store:0-9998=store_0", "store must end at bucket 9999, not 9998"),
        ("store:0-4999=store_0,5000-9999=store_9", "store names 'store_9', which DATABASE_URLS does not have"),
        ("store:0-10000=store_0", "store has '0-10000=store_0' where a range such as 0-4999=store_0 belongs"),
        ("store:0-9999", "store has '0-9999' where a range such as 0-4999=store_0 belongs"),
        ("store:", "store has '' where a range such as 0-4999=store_0 belongs"),
        ("store", "store has '' where a range such as 0-4999=store_0 belongs"),
        ("stores:0-9999=store_0", "there is no keyspace 'stores'; there are customer, store, shopper"),
    ],
)
def test_a_shard_map_that_would_lose_buckets_is_refused(shard_map, sentence):
    assert refusal({"DATABASE_URLS": urls(store=2), "SHARD_MAP": shard_map}) == f"SHARD_MAP: {sentence}"


def test_a_database_that_the_map_leaves_out_is_a_spare():
    env = Env.read({"DATABASE_URLS": urls(store=3), "SHARD_MAP": "store:0-9999=store_1"})
    assert env.spares == {"customer": (), "store": ("store_0", "store_2"), "shopper": ()}
    assert Env.read({}).spares == {"customer": (), "store": (), "shopper": ()}


def test_a_shard_map_speaks_for_its_keyspaces_and_leaves_the_others_alone():
    shard_map = "store:0-99=store_1,100-9999=store_0; shopper:0-9999=shopper_0;"
    env = Env.read({"DATABASE_URLS": urls(store=2), "SHARD_MAP": shard_map})
    assert env.shard_map == {
        "customer": ((0, 9999, "customer_0"),),
        "store": ((0, 99, "store_1"), (100, 9999, "store_0")),
        "shopper": ((0, 9999, "shopper_0"),),
    }


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(1, {10_000}), (2, {5000}), (3, {3000, 4000}), (4, {2500}), (6, {1666, 1667}), (7, {1428, 1429}), (200, {50})],
)
def test_databases_share_the_buckets_evenly(count, sizes):
    ranges = Env.read({"DATABASE_URLS": urls(customer=count)}).shard_map["customer"]
    assert [alias for _, _, alias in ranges] == [f"customer_{n}" for n in range(count)]
    assert [bucket for first, last, _ in ranges for bucket in range(first, last + 1)] == list(range(BUCKETS))
    assert {last - first + 1 for first, last, _ in ranges} == sizes


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "customer_0=postgresql://db/c,store_0=postgresql://db/s,shopper_0=postgresql://db/h",
            "the global database is missing; add default=postgresql://…",
        ),
        (
            "default=postgresql://db/g,customer_0=postgresql://db/c,store_0=postgresql://db/s",
            "keyspace shopper has no database; add shopper_0=postgresql://…",
        ),
        (f"{urls()},store_0=postgresql://db/other", "store_0 is given twice"),
        (f"{urls()},store_1=mysql://db/s", "entry 5 is not of the form alias=postgresql://user@host/name"),
        (f"{urls()},store_1", "entry 5 is not of the form alias=postgresql://user@host/name"),
    ],
)
def test_databases_that_do_not_add_up_are_refused(text, sentence):
    assert refusal({"DATABASE_URLS": text}) == f"DATABASE_URLS: {sentence}"


@pytest.mark.parametrize("text", ["many", "-1", "1.5", "²"])
def test_a_number_that_is_none_is_refused_by_its_name(text):
    assert refusal({"DEMO_PAST_ORDERS": text}) == f"DEMO_PAST_ORDERS is {text!r}; it is a whole number"
    assert Env.read({"DEMO_PAST_ORDERS": "0"}).demo_past_orders == 0


@pytest.mark.parametrize("key", ["sk_live_1", "rk_live_1"])
def test_a_live_key_never_meets_the_sandbox(key):
    environ = {"STRIPE_SECRET_KEY": key, "STRIPE_API_BASE": "http://127.0.0.1:8003"}
    assert refusal(environ) == "STRIPE_API_BASE must not be set together with a live Stripe key"
    assert Env.read({"STRIPE_SECRET_KEY": key}).stripe_api_base is None


def test_production_never_pays_into_the_sandbox():
    environ = {**PRODUCTION, "STRIPE_API_BASE": "http://127.0.0.1:8003"}
    assert refusal(environ) == "STRIPE_API_BASE must not be set in production: payments would go to a stand-in"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"DATABASE_URLS": f"default=postgresql://u:{PASSWORDS[0]},half@db/g"},  # a comma that was not escaped
        {"DATABASE_URLS": f"postgresql://u:{PASSWORDS[0]}@db/g"},
        {"SHARD_MAP": "customer:0-1=customer_0"},
        {"STRIPE_API_BASE": "http://127.0.0.1:8003"},
        {"PUBLIC_URL": ""},
    ],
)
def test_no_secret_is_shown_whatever_goes_wrong(changes, caplog):
    environ = {**PRODUCTION, "DEMO_PASSWORD": PASSWORDS[2], **changes}
    caplog.set_level(logging.DEBUG)
    shown = repr(Env.read(environ)) if not changes else refusal(environ)
    assert shown
    assert [secret for secret in (*SECRETS.values(), *PASSWORDS) if secret in shown + caplog.text] == []


@pytest.mark.parametrize("production", [False, True])
def test_the_whole_project_starts_without_showing_a_secret_or_a_warning(production, tmp_path):
    """``check --deploy`` is Django's own list of what production must not forget."""
    environ = {**PRODUCTION, "INSTACART_VAR": str(tmp_path), "LOG_LEVEL": "DEBUG"}
    if not production:
        environ |= {"INSTACART_ENV": "", "DEMO_PASSWORD": PASSWORDS[2]}
    done = subprocess.run(
        [sys.executable, "-W", "default", "manage.py", "check", *(["--deploy"] * production)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert "System check identified no issues (0 silenced)." in output
    assert "WARNING" not in output
    assert [secret for secret in (*SECRETS.values(), *PASSWORDS) if secret in output] == []


def test_production_that_lacks_something_does_not_start():
    environ = {name: value for name, value in PRODUCTION.items() if name not in ("JWT_KEY", "REDIS_URL")}
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("guesses none of them: JWT_KEY, REDIS_URL")


def test_a_database_address_becomes_djangos_settings():
    over_tcp = django_database("postgresql://lar%40der:p%2Cw@db.internal:6432/orders_7?sslmode=verify-full")
    assert {name: over_tcp[name] for name in ("NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS")} == {
        "NAME": "orders_7",
        "USER": "lar@der",
        "PASSWORD": "p,w",
        "HOST": "db.internal",
        "PORT": "6432",
        "OPTIONS": {"connect_timeout": 2, "sslmode": "verify-full"},
    }
    over_a_socket = django_database("postgresql://postgres@/global?host=/run/postgresql&port=5433")
    assert (over_a_socket["HOST"], over_a_socket["PORT"]) == ("/run/postgresql", "5433")
    assert over_a_socket["OPTIONS"] == {"connect_timeout": 2}


def test_the_readme_lists_every_variable():
    """Name, and whether production needs it, as the code has them."""

    class Asked(dict):
        def get(self, name, default=None):
            names.add(name)
            return super().get(name, default)

    names: set[str] = set()
    Env.read(Asked())
    rows = re.findall(
        r"^\| `([A-Z_]+)` \|.*\| (yes|no) \|$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted(name for name, _ in rows) == sorted(names)
    assert sorted(name for name, needed in rows if needed == "yes") == sorted(REQUIRED)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"TRAVEL_TIMES": "crow"}, "TRAVEL_TIMES is 'crow'; it is one of roads, valhalla, osrm, google"),
        ({"TRAVEL_TIMES": "osrm"}, "TRAVEL_TIMES=osrm needs TRAVEL_URL, such as http://127.0.0.1:8002"),
        ({"TRAVEL_TIMES": "valhalla"}, "TRAVEL_TIMES=valhalla needs TRAVEL_URL, such as http://127.0.0.1:8002"),
        *(
            (
                {"TRAVEL_TIMES": "osrm", "TRAVEL_URL": url},
                "TRAVEL_URL is not of the form http://host:port or https://host; it takes no password",
            )
            for url in ("k3roads", "ftp://roads", "http://u:k3@roads", "http://roads:port", "http://roads?key=k3")
        ),
        *(
            (
                {"TRAVEL_TIMES": "google", "TRAVEL_KEY": key},
                "TRAVEL_TIMES=google needs TRAVEL_KEY, a key for the Routes API without white space",
            )
            for key in ("", "k3 key", "k3key\n")
        ),
    ],
)
def test_travel_times_without_what_they_need_do_not_start(environ, message):
    assert refusal(environ) == message  # exactly: no address and no key in it


def test_travel_times():
    assert Env.read({}).travel_times == "roads"
    env = Env.read({"TRAVEL_TIMES": "valhalla", "TRAVEL_URL": "http://roads.internal:8002/"})
    assert (env.travel_times, env.travel_url) == ("valhalla", "http://roads.internal:8002")
    assert "k3key" not in repr(Env.read({"TRAVEL_TIMES": "google", "TRAVEL_KEY": "k3key"}))


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("files:", MailServer(backend="apps.notifications.demo_outbox.OutboxBackend")),
        ("smtp://mail.internal", MailServer(backend=SMTP, host="mail.internal", port=25)),
        ("smtps://mail.internal", MailServer(backend=SMTP, host="mail.internal", port=465, is_tls_at_once=True)),
        (
            "smtp+starttls://larder%40shop:p%2Fw@mail.internal:2525",
            MailServer(
                backend=SMTP, host="mail.internal", port=2525, user="larder@shop", password="p/w", is_tls_asked_for=True
            ),
        ),
    ],
)
def test_the_mail_server_is_what_its_address_says(url, server):
    assert Env.read({"EMAIL_URL": url}).email_url == url
    assert mail_server(url) == server


@pytest.mark.parametrize("url", ["http://mail", "smtp://", "smtp://user:k3 secret@mail", "smtp://mail:port", "mail"])
def test_what_is_no_mail_server_is_refused_without_repeating_it(url):
    said = refusal({"EMAIL_URL": url})
    assert said.startswith("EMAIL_URL is not of the form")
    assert "k3" not in said


@pytest.mark.parametrize("sender", ["Larder", "a@b\r\nBcc: c@d", "<a@b", "Larder <a@b", "a@b c"])
def test_a_sender_that_is_none_is_refused(sender):
    assert refusal({"EMAIL_FROM": sender}).startswith("EMAIL_FROM is not an address")


def test_production_sends_its_letters():
    assert refusal({**PRODUCTION, "EMAIL_URL": "files:"}).endswith("production names a mail server")
