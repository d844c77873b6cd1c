"""Whatever changes something can be sent again: by ``Idempotency-Key``, by a key in its input, or by its nature."""

from django.urls import URLPattern, URLResolver, get_resolver, path
from graphql import GraphQLNonNull
from rest_framework.views import APIView

from apps.common.api import idempotency
from instacart.schema import schema

WRITES = ("post", "put", "patch", "delete")

NO_HEADER = {
    "apps.web.views": "forms of pages, sent by browsers, which know no such header; checkout's has the key as a field",
    "apps.backoffice.views": "forms of pages, sent by browsers",
    "django.contrib": "the admin's own forms",
    "unfold": "the admin's own forms",
    "apps.accounts.admin": "the admin's own forms",
    "apps.common.api.admin": "the admin's own forms",
    "django.views.generic.base": "redirects only",
    "apps.common.api.graphql": "one request may hold several mutations: keys are in their inputs, as tested below",
    "apps.payments.api.webhooks": "the provider's event id is the key, kept in StripeEvent",
    "oauth2_provider.views": "RFC 6749: a code or refresh token works once",
    "apps.accounts.api": "OAuth's endpoints, as oauth2_provider's",
    "sharding.admin": "the admin's own forms",
    "instacart.metrics": "reads only",
    "drf_spectacular.views": "reads only",
}
"""Modules of views that are no REST framework's, and why their writes need no such header."""

REPEATABLE = {
    "signUp": "an e-mail address has one account; the second is refused as email_taken",
    "addAddress": "the same address again answers the id it has",
    "setCartLine": "says how much the cart holds, not how much more",
    "setCartLines": "says how much the cart holds, not how much more",
    "addCard": "a payment method of the provider's is kept once",
    "cancelOrder": "an order that is canceled stays so, and says so",
    "raiseTip": "says what the whole tip is, not how much more",
    "rescheduleOrder": "an order that has the window keeps it",
    "answerReplacement": "a question that has that answer keeps it",
    "chooseReplacement": "says which item is wanted; one that was asked for is",
    "rateOrder": "an order has one rating; the same again changes nothing",
    "withdrawIssue": "a report that is withdrawn stays so, and says so",
}
"""Mutations that take no key, and what they do when they are sent twice: ``tests/orders/test_mutations_twice.py``."""


def routes(patterns):
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns)
        elif isinstance(pattern, URLPattern):
            yield pattern.callback


def deaf(views):
    """Writes of REST views that do not look at the header, and other views that nobody has excused."""
    for view in views:
        cls = getattr(view, "cls", None) or getattr(view, "view_class", None)
        if cls is not None and issubclass(cls, APIView):
            for verb in WRITES:
                handler = getattr(cls, verb, None)
                if handler is not None and idempotency.rule_of(handler) is None:
                    yield f"{cls.__module__}.{cls.__name__}.{verb}"
        elif not any(module_of(view, cls).startswith(known) for known in NO_HEADER):
            yield f"{module_of(view, cls)}.{getattr(view, '__name__', view)}"


def module_of(view, cls):
    return cls.__module__ if cls is not None else getattr(view, "__module__", type(view).__module__)


def test_every_write_route_takes_an_idempotency_key():
    views = list(routes(get_resolver().url_patterns))
    keyed = [
        f"{view.cls.__name__}.{verb}"
        for view in views
        if hasattr(view, "cls")
        for verb in WRITES
        if idempotency.rule_of(getattr(view.cls, verb, None))
    ]
    assert len(keyed) >= 10
    assert list(deaf(views)) == []


def test_the_check_sees_a_write_that_ignores_the_header():
    class Deaf(APIView):
        def get(self, request):
            """Reads need none."""

        def patch(self, request):
            """Ignores it."""

    def stranger(request):
        """No REST view, and nobody has said why it needs none."""

    patterns = [path("deaf", Deaf.as_view()), path("stranger", stranger)]
    assert [name.rpartition(".")[2] for name in deaf(routes(patterns))] == ["patch", "stranger"]


def needs_key(mutation):
    (given,) = mutation.args.values()
    field = given.type.of_type.fields.get("idempotencyKey")
    return field is not None and isinstance(field.type, GraphQLNonNull)


def test_every_mutation_takes_a_key_or_is_repeatable_by_its_nature():
    mutations = schema.graphql_schema.mutation_type.fields
    assert {name for name, mutation in mutations.items() if not needs_key(mutation)} == set(REPEATABLE)
    assert needs_key(mutations["placeOrder"])


def test_every_excuse_is_of_a_view_that_is_there():
    modules = {module_of(view, getattr(view, "view_class", None)) for view in routes(get_resolver().url_patterns)}
    assert [known for known in NO_HEADER if not any(module.startswith(known) for module in modules)] == []
