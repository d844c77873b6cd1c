"""Payment intents: https://docs.stripe.com/payments/paymentintents/lifecycle"""

from deploy.payments_sandbox import cards, disputes, events, methods, money
from deploy.payments_sandbox.call import Call, checked_url, merged_metadata
from deploy.payments_sandbox.errors import ApiError, card_error, invalid, missing, unexpected_state
from deploy.payments_sandbox.state import Object, Store, given_ones, public

OPEN = frozenset({"requires_payment_method", "requires_confirmation", "requires_action"})
CANCELABLE = OPEN | {"requires_capture", "processing"}
_AT_ANY_TIME = frozenset({"description", "receipt_email", "shipping", "transfer_group", "statement_descriptor_suffix"})
_WHILE_OPEN = frozenset({"amount", "currency", "customer", "setup_future_usage", "capture_method"})
_AS_GIVEN = (
    *("allowed_payment_method_types", "amount", "application_fee_amount", "capture_method", "confirmation_method"),
    *("description", "excluded_payment_method_types", "on_behalf_of", "payment_method_options", "receipt_email"),
    *("setup_future_usage", "shipping", "statement_descriptor", "statement_descriptor_suffix"),
    *("transfer_data", "transfer_group"),
)
_NOT_WITH_ALLOWED = frozenset(
    {"automatic_payment_methods", "excluded_payment_method_types", "payment_method_configuration"}
)
_ONLY_WITH_CONFIRM = ("off_session", "return_url", "error_on_requires_action", "mandate_data")


def create(call: Call) -> Object:
    given = call.params
    _check_amount(given["amount"])
    if not given.get("confirm"):
        refuse_without_confirm(given)
    customer = call.linked("customer", "customer")
    method = chosen_method(call.store, given, customer)
    intent = call.store.new(
        "payment_intent",
        {
            "capture_method": "automatic_async",
            "confirmation_method": "automatic",
            **given_ones(given, *_AS_GIVEN),
            "amount_capturable": 0,
            "amount_details": {"tip": {}},
            "amount_received": 0,
            "automatic_payment_methods": automatic_methods(given),
            "currency": _currency(given["currency"]),
            "customer": customer,
            "metadata": merged_metadata({}, given.get("metadata")),
            "payment_method": method and method["id"],
            "payment_method_types": ["card"],
            "status": "requires_confirmation" if method else "requires_payment_method",
        },
    )
    intent["client_secret"] = f"{intent['id']}_secret_{call.store.token(25)}"
    events.emit(call.store, "payment_intent.created", call.store.save(intent))
    return _confirm(call, intent, method) if given.get("confirm") else intent


def update(call: Call) -> Object:
    intent, given = call.subject("payment_intent"), call.params
    if intent["status"] not in OPEN and given.keys() & (_WHILE_OPEN | {"payment_method", "payment_method_data"}):
        raise unexpected_state("payment_intent", "update", intent["status"], payment_intent=public(intent))
    if "amount" in given:
        _check_amount(given["amount"])
    if "customer" in given:
        call.linked("customer", "customer")
    intent |= {name: given[name] or None for name in given.keys() & (_AT_ANY_TIME | _WHILE_OPEN)}
    intent["metadata"] = merged_metadata(intent["metadata"], given.get("metadata"))
    method = chosen_method(call.store, given, intent["customer"])
    if method is not None:
        intent |= {"payment_method": method["id"], "status": "requires_confirmation", "next_action": None}
    return call.store.save(intent)


def confirm(call: Call) -> Object:
    intent, given = call.subject("payment_intent"), call.params
    if intent["status"] not in OPEN:
        raise unexpected_state("payment_intent", "confirm", intent["status"], payment_intent=public(intent))
    if call.is_publishable and intent["confirmation_method"] == "manual":
        raise invalid("This PaymentIntent can only be confirmed with a secret key.", param="confirmation_method")
    intent |= given_ones(given, "receipt_email", "setup_future_usage", "shipping", "capture_method")
    method = chosen_method(call.store, given, intent["customer"])
    if method is None and intent["payment_method"] is not None:
        method = methods.usable(call.store, intent["payment_method"], intent["customer"])
    return _confirm(call, intent, method)


def capture(call: Call) -> Object:
    intent, given = call.subject("payment_intent"), call.params
    if intent["status"] != "requires_capture":
        raise unexpected_state("payment_intent", "capture", intent["status"], payment_intent=public(intent))
    if given.get("final_capture") is False:
        raise invalid("Multicapture is not available for this payment.", param="final_capture")
    amount = given["amount_to_capture"] if "amount_to_capture" in given else intent["amount_capturable"]
    if amount < 1:
        raise invalid("Invalid positive integer", code="parameter_invalid_integer", param="amount_to_capture")
    if amount > intent["amount_capturable"]:
        raise invalid(
            f"The requested capture amount ({amount}) is greater than the amount that can be captured "
            f"({intent['amount_capturable']}).",
            code="amount_too_large",
            param="amount_to_capture",
            payment_intent=public(intent),
        )
    charge = money.capture(call.store, call.store.get("charge", intent["latest_charge"]), amount)
    intent["metadata"] = merged_metadata(intent["metadata"], given.get("metadata"))
    intent |= {"amount_capturable": 0, "amount_received": amount, "status": "succeeded", "_due": None}
    events.emit(call.store, "charge.captured", charge)
    events.emit(call.store, "payment_intent.succeeded", call.store.save(intent))
    _dispute_if_so_inclined(call.store, charge)
    return intent


def _dispute_if_so_inclined(store: Store, charge: Object) -> None:
    method = store.get("payment_method", charge["payment_method"])
    if cards.BY_ALIAS[method["_card"]].disputes:
        disputes.create(store, charge)


def increment(call: Call) -> Object:
    """Holds more on the same card: https://docs.stripe.com/payments/incremental-authorization"""
    intent, given, store = call.subject("payment_intent"), call.params, call.store
    if intent["status"] != "requires_capture":
        raise unexpected_state("payment_intent", "increment", intent["status"], payment_intent=public(intent))
    charge = store.get("charge", intent["latest_charge"])
    if charge["payment_method_details"]["card"]["incremental_authorization"]["status"] != "available":
        raise invalid(f"The charge {charge['id']} is not eligible for incremental authorization.")
    _check_amount(given["amount"])
    if given["amount"] <= intent["amount"]:
        raise invalid("The amount must be more than what is authorized.", param="amount")
    charge = money.increase(store, charge, given["amount"])
    intent["metadata"] = merged_metadata(intent["metadata"], given.get("metadata"))
    intent |= given_ones(given, "description") | {"amount": given["amount"], "amount_capturable": given["amount"]}
    events.emit(store, "charge.updated", charge)
    events.emit(store, "payment_intent.amount_capturable_updated", store.save(intent))
    return intent


def cancel(call: Call) -> Object:
    intent = call.subject("payment_intent")
    if intent["status"] not in CANCELABLE:
        raise unexpected_state("payment_intent", "cancel", intent["status"], payment_intent=public(intent))
    return close(call.store, intent, reason=call.params.get("cancellation_reason"))


def close(store: Store, intent: Object, *, reason: str | None, expired: bool = False) -> Object:
    """Cancels; an authorisation is released, which Stripe reports as a refund of the charge."""
    if intent["status"] == "requires_capture":
        charge = store.get("charge", intent["latest_charge"])
        money.release(store, charge, charge["amount"], reason="expired_uncaptured_charge" if expired else None)
        events.emit(store, "charge.expired" if expired else "charge.refunded", charge)
    intent |= {
        "amount_capturable": 0,
        "canceled_at": int(store.now()),
        "cancellation_reason": reason,
        "next_action": None,
        "status": "canceled",
        "_due": None,
    }
    events.emit(store, "payment_intent.canceled", store.save(intent))
    return intent


def authenticated(store: Store, intent: Object, *, approved: bool) -> Object:
    """The cardholder answered the bank's question."""
    method = store.get("payment_method", intent["payment_method"])
    if approved:
        return _charge(store, intent, method)
    error = card_error(
        "payment_intent_authentication_failure",
        "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new "
        "PaymentMethod to attempt to fulfill this PaymentIntent again.",
        payment_method=public(method),
    )
    return _failed(store, intent, error)


def _confirm(call: Call, intent: Object, method: Object | None) -> Object:
    given, store = call.params, call.store
    if method is None:
        raise invalid(
            "You cannot confirm this PaymentIntent because it's missing a payment method. Update the PaymentIntent "
            "with a payment method and then confirm it again.",
            code="payment_intent_unexpected_state",
            payment_intent=public(intent),
        )
    require_return_url(intent, given)
    off_session = bool(given.get("off_session"))
    intent |= {"payment_method": method["id"], "next_action": None, "last_payment_error": None}
    intent["_off_session"] = off_session
    if not asks_bank(method):
        done = _charge(store, intent, method)
    elif off_session or given.get("error_on_requires_action"):
        done = _declined(store, intent, method, ("authentication_required", "authentication_required"))
    else:
        done = ask_bank(call, intent)
    error = done["last_payment_error"]
    if error is not None:
        more = {name: value for name, value in error.items() if name not in ("type", "doc_url")}
        raise ApiError(402, kind=error["type"], payment_intent=public(done), **more)
    return done


def _charge(store: Store, intent: Object, method: Object) -> Object:
    """Asks the card. A decline is left in `last_payment_error`."""
    card = cards.BY_ALIAS[method["_card"]]
    if card.declines is not None:
        return _declined(store, intent, method, card.declines)
    off_session = bool(intent.get("_off_session"))
    charge = money.new_charge(store, intent, method, off_session=off_session)
    intent |= {"latest_charge": charge["id"], "next_action": None, "last_payment_error": None}
    _keep_card(store, intent, method)
    if intent["capture_method"] == "manual":
        until = charge["payment_method_details"]["card"]["capture_before"]
        intent |= {"status": "requires_capture", "amount_capturable": intent["amount"], "_due": until}
        events.emit(store, "charge.succeeded", charge)
        events.emit(store, "payment_intent.amount_capturable_updated", store.save(intent))
        return intent
    money.capture(store, charge, intent["amount"])
    intent |= {"status": "succeeded", "amount_received": intent["amount"]}
    events.emit(store, "charge.succeeded", charge)
    events.emit(store, "payment_intent.succeeded", store.save(intent))
    _dispute_if_so_inclined(store, charge)
    return intent


def _keep_card(store: Store, intent: Object, method: Object) -> None:
    if intent["customer"] and intent["setup_future_usage"]:
        methods.attach(store, method, intent["customer"])
        method["_is_set_up"] = True
    elif method["customer"] is None:
        method["_is_spent"] = True
    store.save(method)


def _declined(store: Store, intent: Object, method: Object, declines: tuple[str, str]) -> Object:
    off_session = bool(intent.get("_off_session"))
    charge = money.new_charge(store, intent, method, off_session=off_session, failure=declines)
    intent["latest_charge"] = charge["id"]
    events.emit(store, "charge.failed", charge)
    return _failed(store, intent, cards.declined(*declines, charge=charge["id"], payment_method=public(method)))


def _failed(store: Store, intent: Object, error: ApiError) -> Object:
    intent |= {
        "last_payment_error": error.body["error"],
        "next_action": None,
        "payment_method": None,
        "status": "requires_payment_method",
    }
    events.emit(store, "payment_intent.payment_failed", store.save(intent))
    return intent


# Shared with setup intents


def refuse_without_confirm(given: Object) -> None:
    for name in _ONLY_WITH_CONFIRM:
        if name in given:
            raise invalid(f"You can only use {name} together with confirm=true.", param=name)


def automatic_methods(given: Object) -> Object | None:
    """Stripe turns these on unless the request says which methods it allows."""
    if given.get("allowed_payment_method_types"):
        other = given.keys() & _NOT_WITH_ALLOWED
        if other:
            raise invalid(
                f"You may only specify one of these parameters: allowed_payment_method_types, {min(other)}.",
                code="parameters_exclusive",
                param=min(other),
            )
        return None
    asked = {"allow_redirects": "always", "enabled": True} | given.get("automatic_payment_methods", {})
    return asked if asked["enabled"] else None


def chosen_method(store: Store, given: Object, customer: str | None) -> Object | None:
    if given.get("payment_method"):
        return methods.usable(store, given["payment_method"], customer)
    return methods.entered(store, given["payment_method_data"]) if "payment_method_data" in given else None


def asks_bank(method: Object) -> bool:
    challenge = cards.BY_ALIAS[method["_card"]].challenge
    return challenge == "always" or (challenge == "unless_set_up" and not method["_is_set_up"])


def require_return_url(intent: Object, given: Object) -> None:
    automatic = intent["automatic_payment_methods"]
    if automatic and automatic["allow_redirects"] != "never" and not given.get("return_url"):
        name = {"payment_intent": "PaymentIntent", "setup_intent": "SetupIntent"}[intent["object"]]
        raise invalid(
            f"This {name} is configured to accept payment methods enabled in your Dashboard. Because some of these "
            "payment methods might redirect your customer off of your page, you must provide a `return_url`. If you "
            "don't want to accept redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` "
            "and `automatic_payment_methods[allow_redirects]` to `never`, or name the types you allow.",
            param="return_url",
        )


def ask_bank(call: Call, intent: Object) -> Object:
    """The cardholder must answer the bank next, on a page of ours that plays it."""
    back = checked_url(call.params, "return_url")
    intent |= {"next_action": _bank_page(call, intent, back), "status": "requires_action", "_return_url": back}
    events.emit(call.store, f"{intent['object']}.requires_action", call.store.save(intent))
    return intent


def _bank_page(call: Call, intent: Object, back: str | None) -> Object:
    url = f"{call.base_url}/3ds/{intent['id']}"
    if back:
        return {"type": "redirect_to_url", "redirect_to_url": {"return_url": back, "url": url}}
    return {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect", "stripe_js": url}}


def _check_amount(amount: int) -> None:
    if amount < 50:
        raise invalid("Amount must be at least $0.50 usd", code="amount_too_small", param="amount")
    if amount > 99_999_999:
        raise invalid("Amount must be no more than $999,999.99", code="amount_too_large", param="amount")


def _currency(code: str) -> str:
    if len(code) != 3 or not code.isalpha():
        raise invalid(f"Invalid currency: {code}.", param="currency")
    return code.lower()


def refund(call: Call) -> Object:
    """By charge or by payment intent; only money that was taken can go back."""
    given = call.params
    if "payment_intent" not in given and "charge" not in given:
        raise missing("charge")
    if "payment_intent" in given:
        intent = call.store.get("payment_intent", given["payment_intent"], param="payment_intent", status=400)
        charge_id = intent["latest_charge"]
    else:
        charge_id = given["charge"]
    charge = call.store.get("charge", charge_id, param="charge", status=400) if charge_id else None
    if charge is None or not charge["captured"]:
        named = given.get("payment_intent", charge_id)
        raise invalid(f"{named} does not have a successful charge to refund.", code="charge_not_refundable")
    metadata = merged_metadata({}, given.get("metadata"))
    return money.refund(call.store, charge, given.get("amount"), reason=given.get("reason"), metadata=metadata)
