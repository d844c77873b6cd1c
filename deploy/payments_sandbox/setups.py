"""Setup intents, and the checkout sessions that collect a card for one."""

from deploy.payments_sandbox import cards, events, intents, methods
from deploy.payments_sandbox.call import Call, checked_url, merged_metadata
from deploy.payments_sandbox.errors import ApiError, card_error, invalid, missing, unexpected_state
from deploy.payments_sandbox.state import Object, Store, given_ones, public

SESSION_LASTS = 86_400
_AS_GIVEN = (
    *("cancel_url", "client_reference_id", "currency", "customer_creation", "customer_email", "locale", "mode"),
    *("success_url", "ui_mode"),
)


def create(call: Call) -> Object:
    if not call.params.get("confirm"):
        intents.refuse_without_confirm(call.params)
    customer = call.linked("customer", "customer")
    method = intents.chosen_method(call.store, call.params, customer)
    intent = _new(call.store, call.params, customer, method)
    return _confirm(call, intent, method) if call.params.get("confirm") else intent


def confirm(call: Call) -> Object:
    intent = call.subject("setup_intent")
    if intent["status"] not in intents.OPEN:
        raise unexpected_state("setup_intent", "confirm", intent["status"], setup_intent=public(intent))
    method = intents.chosen_method(call.store, call.params, intent["customer"])
    if method is None and intent["payment_method"] is not None:
        method = methods.usable(call.store, intent["payment_method"], intent["customer"])
    return _confirm(call, intent, method)


def cancel(call: Call) -> Object:
    intent = call.subject("setup_intent")
    if intent["status"] not in intents.OPEN:
        raise unexpected_state("setup_intent", "cancel", intent["status"], setup_intent=public(intent))
    reason = call.params.get("cancellation_reason")
    intent |= {"cancellation_reason": reason, "next_action": None, "status": "canceled"}
    events.emit(call.store, "setup_intent.canceled", call.store.save(intent))
    return intent


def authenticated(store: Store, intent: Object, *, approved: bool) -> Object:
    """The cardholder answered the bank's question."""
    method = store.get("payment_method", intent["payment_method"])
    if approved:
        return _set_up(store, intent, method)
    error = card_error(
        "setup_intent_authentication_failure",
        "The latest attempt to set up the payment method has failed because authentication failed.",
        payment_method=public(method),
    )
    return _failed(store, intent, error)


def _new(store: Store, given: Object, customer: str | None, method: Object | None) -> Object:
    intent = store.new(
        "setup_intent",
        {
            "usage": "off_session",
            **given_ones(
                given, "allowed_payment_method_types", "description", "excluded_payment_method_types", "usage"
            ),
            "automatic_payment_methods": intents.automatic_methods(given),
            "customer": customer,
            "metadata": merged_metadata({}, given.get("metadata")),
            "payment_method": method and method["id"],
            "payment_method_types": ["card"],
            "status": "requires_confirmation" if method else "requires_payment_method",
        },
    )
    intent["client_secret"] = f"{intent['id']}_secret_{store.token(25)}"
    events.emit(store, "setup_intent.created", store.save(intent))
    return intent


def _confirm(call: Call, intent: Object, method: Object | None) -> Object:
    if method is None:
        raise invalid(
            "You cannot confirm this SetupIntent because it's missing a payment method.",
            code="setup_intent_unexpected_state",
            setup_intent=public(intent),
        )
    intents.require_return_url(intent, call.params)
    intent |= {"payment_method": method["id"], "next_action": None, "last_setup_error": None}
    if intents.asks_bank(method):
        return intents.ask_bank(call, intent)
    done = _set_up(call.store, intent, method)
    error = done["last_setup_error"]
    if error is not None:
        more = {name: value for name, value in error.items() if name not in ("type", "doc_url")}
        raise ApiError(402, kind=error["type"], setup_intent=public(done), **more)
    return done


def _set_up(store: Store, intent: Object, method: Object) -> Object:
    """Checks the card with its bank and keeps it for the customer. A refusal is left in `last_setup_error`."""
    card = cards.BY_ALIAS[method["_card"]]
    if card.declines is not None and not card.saves:
        return _failed(store, intent, cards.declined(*card.declines, payment_method=public(method)))
    if intent["customer"]:
        methods.attach(store, method, intent["customer"])
    method["_is_set_up"] = True
    store.save(method)
    intent |= {"next_action": None, "payment_method": method["id"], "status": "succeeded"}
    events.emit(store, "setup_intent.succeeded", store.save(intent))
    for session in store.all("checkout.session", setup_intent=intent["id"], status="open"):
        session |= {"status": "complete", "url": None, "_due": None}
        events.emit(store, "checkout.session.completed", store.save(session))
    return intent


def _failed(store: Store, intent: Object, error: ApiError) -> Object:
    intent |= {
        "last_setup_error": error.body["error"],
        "next_action": None,
        "payment_method": None,
        "status": "requires_payment_method",
    }
    events.emit(store, "setup_intent.setup_failed", store.save(intent))
    return intent


# Checkout sessions


def create_session(call: Call) -> Object:
    """Only mode=setup: the customer types a card on our page, nothing is charged."""
    given = call.params
    if given.get("mode") != "setup":
        raise invalid("Only mode=setup is known here.", param="mode")
    if "success_url" not in given:
        raise missing("success_url")
    if "currency" not in given and not given.get("allowed_payment_method_types"):
        raise missing("currency")
    for address in ("success_url", "cancel_url"):
        checked_url(given, address)
    customer = call.linked("customer", "customer")
    intent = _new(call.store, given.get("setup_intent_data", {}), customer, None)
    session = call.store.new(
        "checkout.session",
        {
            "ui_mode": "hosted_page",
            **given_ones(given, *_AS_GIVEN),
            "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
            "custom_fields": [],
            "custom_text": {},
            "customer": customer,
            "expires_at": int(given.get("expires_at", call.store.now() + SESSION_LASTS)),
            "metadata": merged_metadata({}, given.get("metadata")),
            "payment_method_collection": "always",
            "payment_method_types": ["card"],
            "payment_status": "no_payment_required",
            "setup_intent": intent["id"],
            "shipping_options": [],
            "status": "open",
        },
    )
    session |= {"url": f"{call.base_url}/c/pay/{session['id']}", "_due": session["expires_at"]}
    return call.store.save(session)


def pay_session(call: Call, session: Object) -> Object:
    """The typed card, from our page: the setup intent, done or waiting for the bank. Raises card errors."""
    intent = call.store.get("setup_intent", session["setup_intent"])
    return _confirm(call, intent, methods.entered(call.store, call.params))


def expire_session(store: Store, session: Object) -> Object:
    session |= {"status": "expired", "url": None, "_due": None}
    events.emit(store, "checkout.session.expired", store.save(session))
    return session


def return_address(session: Object) -> str:
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])
