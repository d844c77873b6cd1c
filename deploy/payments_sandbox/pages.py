"""The few pages a person sees: typing a card, answering the bank, the switches. They work without JavaScript."""

import re
from dataclasses import dataclass
from html import escape
from urllib.parse import urlencode

from deploy.payments_sandbox import cards, connect, intents, money, setups
from deploy.payments_sandbox.call import Call
from deploy.payments_sandbox.errors import ApiError
from deploy.payments_sandbox.faults import KINDS, Faults
from deploy.payments_sandbox.routes import ENDPOINTS
from deploy.payments_sandbox.state import Object, Store

_STYLE = """
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 46rem; padding: 0 1rem }
main.narrow { max-width: 26rem; margin: auto }
.note { background: #fff3c4; color: #3d2f00; padding: .5rem .75rem; border-radius: .4rem }
.bad { background: #fde2e1; color: #7a0c06; padding: .5rem .75rem; border-radius: .4rem }
label, legend { display: block; font-weight: 600; margin-top: .9rem }
input, select { font: inherit; padding: .5rem; width: 100%; box-sizing: border-box; border: 1px solid #767676;
  border-radius: .4rem }
[aria-invalid] { border: 2px solid #b3261e }
button { font: inherit; font-weight: 600; padding: .6rem 1rem; border: 0; border-radius: .4rem; margin: .9rem .4rem 0 0;
  background: #0a5c36; color: #fff; cursor: pointer }
button.no { background: #7a0c06 }
button.quiet { background: #4a4a4a; padding: .3rem .6rem; margin: .2rem }
:focus-visible { outline: 3px solid #1a73e8; outline-offset: 2px }
table { border-collapse: collapse; width: 100%; font-size: .9rem } th, td { text-align: left; padding: .25rem .5rem;
  border-bottom: 1px solid #8884 } .pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem }
form.inline { display: inline } code { font-size: .95em }
"""
_FIELD_OF = {"exp_month": "expiry", "exp_year": "expiry", "cvc": "cvc", "number": "number"}


@dataclass(frozen=True)
class Page:
    html: str = ""
    status: int = 200
    location: str | None = None


def page(store: Store, faults: Faults, method: str, path: str, given: Object, base_url: str) -> Page:
    if path == "/" and method == "GET":
        return _index(store, faults)
    found = re.fullmatch(r"/(c/pay|3ds)/([A-Za-z0-9_]+)", path)
    subject = store.find(found[2]) if found else None
    if found and subject and found[1] == "c/pay" and subject["object"] == "checkout.session":
        return _checkout(store, subject, method, given, base_url)
    if found and subject and found[1] == "3ds" and subject["object"] in ("payment_intent", "setup_intent"):
        return _bank(store, subject, given if method == "POST" else {})
    account = re.fullmatch(r"/onboard/([A-Za-z0-9_]+)", path)
    owner = store.find(account[1]) if account else None
    if owner and owner["object"] == "account":
        return _onboarding(store, owner, method)
    return Page(
        _html("Not found", "<main><h1>There is nothing here</h1><p><a href='/'>Payments sandbox</a></main>"), 404
    )


# Being paid


def _onboarding(store: Store, account: Object, method: str) -> Page:
    """Stripe asks here for identity and bank account; we only ask whether to say that all is well."""
    back = account.get("_return_url") or "/"
    if method == "POST":
        connect.decide(store, account, enabled=True)
        return Page(location=back)
    body = (
        "<main class=narrow><h1>Being paid</h1>"
        "<p class=note>Stripe would ask here who you are and for a bank account. Nothing is asked in the sandbox.</p>"
        f"<form method=post><button>Say that {escape(account['id'])} is complete</button></form>"
        f"<p><a href='{escape(back)}'>Not now</a></main>"
    )
    return Page(_html("Being paid", body))


# Typing a card


def _checkout(store: Store, session: Object, method: str, given: Object, base_url: str) -> Page:
    if session["status"] == "complete":
        return Page(location=setups.return_address(session))
    if session["status"] == "expired":
        return Page(_html("Expired", f"<main class=narrow><h1>This page has expired</h1>{_back(session)}</main>"), 410)
    if method == "POST":
        return _typed(store, session, given, base_url)
    error = store.get("setup_intent", session["setup_intent"])["last_setup_error"]
    return _card_form(session, {}, "number" if error else "", error["message"] if error else "")


def _typed(store: Store, session: Object, given: Object, base_url: str) -> Page:
    expiry = re.fullmatch(r"\s*(\d{1,2})\s*[/ -]?\s*(\d{2}|\d{4})\s*", given.get("expiry", ""))
    if expiry is None:
        return _card_form(session, given, "expiry", "Enter the expiry date as month and year, for example 12/34.")
    if not given.get("cvc"):
        return _card_form(session, given, "cvc", "Enter the security code from the card.")
    card = {"number": given.get("number", ""), "exp_month": expiry[1], "exp_year": expiry[2], "cvc": given["cvc"]}
    params = {
        "type": "card",
        "card": card,
        "billing_details": {"name": given.get("name") or None},
        "return_url": f"{base_url}/c/pay/{session['id']}",
    }
    try:
        intent = setups.pay_session(Call(store, params, session["id"], True, "", base_url), session)
    except ApiError as error:
        problem = error.body["error"]
        return _card_form(session, given, _FIELD_OF.get(problem.get("param", ""), "number"), problem["message"])
    if intent["status"] == "requires_action":
        return Page(location=f"/3ds/{intent['id']}")
    return Page(location=setups.return_address(session))


def _card_form(session: Object, given: Object, wrong: str, message: str) -> Page:
    def field(name: str, label: str, complete: str, hint: str, more: str = "") -> str:
        is_wrong = name == wrong
        problem = f"<p class=bad id={name}-problem>{escape(message)}</p>" if is_wrong else ""
        described = f' aria-invalid=true aria-describedby="{name}-problem" autofocus' if is_wrong else ""
        # What was typed comes back, except the code.
        value = "" if name == "cvc" else escape(str(given.get(name, "")))
        return (
            f'<label for={name}>{label}</label>{problem}<input id={name} name={name} value="{value}" required '
            f'autocomplete={complete} placeholder="{hint}"{more}{described}>'
        )

    numeric = " inputmode=numeric"
    form = (
        "<form method=post novalidate>"
        + field("number", "Card number", "cc-number", "4242 4242 4242 4242", f"{numeric} list=cards maxlength=23")
        + "<div class=pair><div>"
        + field("expiry", "Expiry (month/year)", "cc-exp", "12/34", f"{numeric} maxlength=9")
        + "</div><div>"
        + field("cvc", "Security code", "cc-csc", "123", f"{numeric} maxlength=4")
        + "</div></div>"
        + "<label for=name>Name on card (optional)</label><input id=name name=name autocomplete=cc-name "
        + f'value="{escape(str(given.get("name", "")))}"><button>Save card</button></form>'
    )
    options = "".join(f"<option value={card.number}>{escape(card.what)}" for card in cards.CARDS)
    rows = "".join(f"<tr><td><code>{_spaced(card.number)}</code><td>{escape(card.what)}" for card in cards.CARDS)
    body = (
        "<main class=narrow><p class=note><strong>Test payments.</strong> No real card works here and no money moves. "
        f"Use a card from the list below.</p><h1>Save a card</h1>{form}{_back(session)}"
        f"<datalist id=cards>{options}</datalist><h2>Test cards</h2>"
        "<p>With any future date and any three-digit code.</p>"
        f"<table><tr><th>Number<th>What it does{rows}</table></main>"
    )
    title = f"Error: {message}" if message else "Save a card"
    return Page(_html(title, body), 422 if message else 200)


def _back(session: Object) -> str:
    url = str(session["cancel_url"] or "")
    return f'<p><a href="{escape(url)}">Go back without saving</a>' if url.startswith(("http:", "https:")) else ""


def _spaced(number: str) -> str:
    return " ".join(re.findall(".{1,4}", number))


# The bank


def _bank(store: Store, intent: Object, given: Object) -> Page:
    answer = given.get("answer")
    flow = intents if intent["object"] == "payment_intent" else setups
    if intent["status"] == "requires_action" and answer in ("approve", "deny"):
        intent = flow.authenticated(store, intent, approved=answer == "approve")
    if intent["status"] != "requires_action":
        return _after_bank(intent)
    what = f"{intent['amount'] / 100:.2f} {intent['currency'].upper()}" if "amount" in intent else "saving this card"
    body = (
        "<main class=narrow><p class=note><strong>This plays your bank.</strong> A real bank would ask for a code or a "
        f"fingerprint here (3-D Secure).</p><h1>Do you approve {escape(what)}?</h1><form method=post>"
        "<button name=answer value=approve>Approve</button>"
        "<button name=answer value=deny class=no>Deny</button></form></main>"
    )
    return Page(_html("Your bank", body))


def _after_bank(intent: Object) -> Page:
    url = intent.get("_return_url")
    if not url:
        return Page(_html("Done", "<main class=narrow><h1>Thank you</h1><p>You can close this page.</main>"))
    done = intent["status"] in ("succeeded", "requires_capture")
    query = {
        intent["object"]: intent["id"],
        f"{intent['object']}_client_secret": intent["client_secret"],
        "redirect_status": "succeeded" if done else "failed",
    }
    return Page(location=f"{url}{'&' if '?' in url else '?'}{urlencode(query)}")


# The switches


def _index(store: Store, faults: Faults) -> Page:
    recent, _ = store.page("payment_intent", (), limit=20)
    rows = "".join(
        f"<tr><td><code>{one['id']}</code><td>{one['amount'] / 100:.2f} {escape(one['currency'])}<td>{one['status']}"
        f"<td>{one['amount_received'] / 100:.2f}<td>{escape(' '.join(map(str, one['metadata'].values()))[:60])}"
        for one in recent
    )
    totals = money.totals(store)
    sums = ", ".join(f"{name} {cents / 100:.2f}" for name, cents in totals.items())
    wrong = money.missing(totals)
    verdict = "<strong class=bad>The balance does not add up.</strong>" if wrong else "The balance adds up."
    planned = "".join(
        f"<li><code>{escape(one['endpoint'])}</code>: {one['kind']}, "
        f"{'always' if one['count'] is None else one['count']} to come, {one['hits']} so far"
        for one in faults.planned()
    )
    kinds = "".join(f"<option value={kind}>{kind}: {escape(what)}" for kind, what in KINDS.items())
    endpoints = "".join(f"<option>{escape(one)}" for one in ["*", *sorted(ENDPOINTS)])
    body = f"""<main><h1>Payments sandbox</h1>
<p class=note>This stands in for Stripe on this machine. It speaks Stripe's API, takes test cards only, and no money
moves. It is what we believe about Stripe, nothing more.</p>
<h2>Payments</h2><p>In all: {sums}. {verdict} <a href=/_sandbox/invariants>Check every payment</a></p>
<table><tr><th>Payment<th>Amount<th>Status<th>Received<th>About{rows or "<tr><td colspan=5>None yet"}</table>
<h2>Faults</h2><ul>{planned or "<li>None planned"}</ul>
<form method=post action=/_sandbox/faults><label for=endpoint>Request</label>
<select id=endpoint name=endpoint>{endpoints}</select><label for=kind>Failure</label>
<select id=kind name=kind>{kinds}</select><div class=pair><div><label for=count>How often</label>
<input id=count name=count value=1 inputmode=numeric></div><div><label for=seconds>Seconds (slow)</label>
<input id=seconds name=seconds value=5 inputmode=numeric></div></div><button>Plan it</button></form>
{_button("faults", "No faults", clear="1")}
<h2>Webhooks</h2><p>{_button("webhooks", "As Stripe does")}{_button("webhooks", "Each one three times", duplicate="2")}
{_button("webhooks", "Out of order", shuffle="10")}{_button("webhooks", "Hold for an hour", hold="3600")}
{_button("webhooks", "Send held ones now", release="1")}{_button("webhooks", "Lose them", drop="1")}
{_button("webhooks", "Sign wrongly", signature="wrong")}</p>
<h2>Time</h2><p>{_button("clock", "One hour later", advance="3600")}{_button("clock", "One day later", advance="86400")}
{_button("clock", "Eight days later", advance="691200")}</p>
<h2>For programs</h2><p><a href=/_sandbox/dump>dump</a> · <a href=/_sandbox/invariants>invariants</a> ·
<a href=/_sandbox/webhooks>webhooks</a> · <a href=/_sandbox/faults>faults</a></p>
<h2>Start again</h2>{_button("reset", "Forget everything", style="no")}</main>"""
    return Page(_html("Payments sandbox", body))


def _button(action: str, label: str, *, style: str = "quiet", **values: str) -> str:
    hidden = "".join(f"<input type=hidden name={name} value={value}>" for name, value in values.items())
    button = f"<button class={style}>{label}</button>"
    return f"<form class=inline method=post action=/_sandbox/{action}>{hidden}{button}</form>"


def _html(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>{body}</html>"
    )
