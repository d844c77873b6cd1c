"""Graphene over the ORM, with loaders that batch, under plain WSGI.

Queries run on an event loop, which is what lets ``graphene.utils.dataloader`` gather keys; the
database stays on the request's own thread and connection. Hence two rules:

- a root field or a mutation is wrapped in ``on_db_thread`` and calls a selector or a service;
- a nested field reads an attribute of what its parent returned, or calls a loader.
"""

import logging
from functools import lru_cache, wraps
from inspect import isawaitable

from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings
from django.http import HttpResponseBadRequest, HttpResponseNotAllowed
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from graphene.utils.dataloader import DataLoader
from graphene_django.settings import graphene_settings
from graphene_django.views import GraphQLView, HttpError
from graphql import (
    ExecutionResult,
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    OperationType,
    ValidationRule,
    execute,
    get_operation_ast,
    parse,
    specified_rules,
    validate,
)
from graphql.validation.validate import ValidationAbortedError

from apps.common.api import errors
from apps.common.errors import DomainError

logger = logging.getLogger(__name__)

MAX_DEPTH = 10
REMEMBERED, REMEMBERED_LENGTH = 256, 4_000
"""Documents, and characters of the longest: an app sends the same few again and again, somebody else may not fill our
memory."""


def on_db_thread(resolver):
    """Let a resolver that uses the ORM run on the request's thread."""

    @wraps(resolver)
    async def run(*args, **kwargs):
        return await sync_to_async(resolver, thread_sensitive=True)(*args, **kwargs)

    return run


class SelectorLoader(DataLoader):
    """Batches ``load(key)`` calls into one call of a selector that takes keys and answers by key."""

    def __init__(self, selector):
        super().__init__()
        self.selector = selector

    async def batch_load_fn(self, keys):
        found = await sync_to_async(self.selector, thread_sensitive=True)(keys)
        return [found.get(key) for key in keys]


class DepthLimit(ValidationRule):
    """Refuse documents deeper than ``MAX_DEPTH`` fields.

    Each fragment is measured once and remembered; without that, a few hundred bytes of fragments
    that spread each other take seconds.
    """

    def enter_document(self, document, *_):
        fragments = {node.name.value: node for node in document.definitions if node.kind == "fragment_definition"}
        depths = {}

        def depth(node):
            below = 0
            for selection in node.selection_set.selections if node.selection_set else ():
                if isinstance(selection, FragmentSpreadNode):
                    found = fragment_depth(selection.name.value)
                else:
                    found = depth(selection) + isinstance(selection, FieldNode)
                below = max(below, found)
            return below

        def fragment_depth(name):
            if name not in depths:
                depths[name] = 0  # a fragment that contains itself is another rule's to refuse
                depths[name] = depth(fragments[name]) if name in fragments else 0
            return depths[name]

        for operation in document.definitions:
            if operation.kind == "operation_definition" and depth(operation) > MAX_DEPTH:
                # Aborting spares the document the rules behind this one, some of which are slow.
                raise ValidationAbortedError(f"The query is more than {MAX_DEPTH} fields deep.", operation)


def _read(schema, query, rules):
    """The document and nothing, or nothing and what is wrong with it."""
    try:
        document = parse(query)
    except Exception as error:
        return None, (error,)
    return document, tuple(validate(schema, document, rules, graphene_settings.MAX_VALIDATION_ERRORS))


_remembered = lru_cache(REMEMBERED)(_read)


@method_decorator(csrf_exempt, name="dispatch")
class LoadingGraphQLView(GraphQLView):
    """A GraphQL endpoint for signed-in pages (session and CSRF token) and for apps (bearer token)."""

    validation_rules = (DepthLimit, *specified_rules)
    authenticate = None  # from a request with an Authorization header to its user; a bad token is a domain error

    def __init__(self, *args, authenticate=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.authenticate = authenticate

    def dispatch(self, request, *args, **kwargs):
        answer = super().dispatch
        if self.authenticate and "Authorization" in request.headers:
            try:
                request.user = self.authenticate(request)
            except DomainError as refusal:
                return errors.answer(refusal)
            return answer(request, *args, **kwargs)
        if settings.SESSION_COOKIE_NAME in request.COOKIES:  # a browser that is signed in
            return csrf_protect(lambda request: answer(request, *args, **kwargs))(request)
        return answer(request, *args, **kwargs)

    def execute_graphql_request(self, request, data, query, variables, operation_name, show_graphiql=False):
        """As the parent does it, but a document that was read and found good is neither read nor checked again."""
        if not query:
            raise HttpError(HttpResponseBadRequest("Must provide query string."))
        schema = self.schema.graphql_schema
        read = _remembered if len(query) <= REMEMBERED_LENGTH else _read
        document, refused = read(schema, query, self.validation_rules)
        if refused:
            return ExecutionResult(errors=list(refused))
        operation = get_operation_ast(document, operation_name)
        if request.method == "GET" and operation is not None and operation.operation != OperationType.QUERY:
            refusal = f"Can only perform a {operation.operation.value} operation from a POST request."
            raise HttpError(HttpResponseNotAllowed(["POST"], refusal))
        return async_to_sync(self._run)(request, document, variables, operation_name)

    async def _run(self, request, document, variables, operation_name):
        try:
            result = execute(
                self.schema.graphql_schema,
                document,
                root_value=self.get_root_value(request),
                context_value=self.get_context(request),
                variable_values=variables,
                operation_name=operation_name,
                middleware=self.get_middleware(request),
            )
            return await result if isawaitable(result) else result
        except Exception as error:
            return ExecutionResult(errors=[GraphQLError(str(error), original_error=error)])

    @staticmethod
    def format_error(error):
        """A domain error keeps its message and code; anything unforeseen is logged and said plainly."""
        cause = getattr(error, "original_error", None)
        refused = errors.refusal(cause)
        if refused is not None:
            return {**error.formatted, "message": str(refused), "extensions": {"code": refused.code}}
        if isinstance(error, GraphQLError) and (cause is None or error.path is None):
            # A mistake in the query itself, or a variable that is not of its type: nothing has run yet.
            return {**error.formatted, "extensions": {"code": "query_invalid"}}
        if isinstance(error, HttpError):  # not even a request
            return {"message": error.message, "extensions": {"code": "query_invalid"}}
        logger.error("graphql.unexpected_error", exc_info=cause or error)
        return {"message": "Something went wrong on our side.", "extensions": {"code": "internal"}}
