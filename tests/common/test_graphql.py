import json
import time
from asyncio import gather

import graphene
import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import AnonymousUser

from apps.common.api import graphql
from apps.common.api.graphql import LoadingGraphQLView, SelectorLoader
from apps.common.errors import Conflict


class Query(graphene.ObjectType):
    self = graphene.Field(lambda: Query)
    broken = graphene.Boolean()
    refused = graphene.Boolean()

    def resolve_self(root, info):
        return Query()

    def resolve_broken(root, info):
        raise ZeroDivisionError("the secret ingredient")

    def resolve_refused(root, info):
        raise Conflict("Not now.")


@pytest.fixture
def ask(rf):
    view = LoadingGraphQLView.as_view(schema=graphene.Schema(query=Query))

    def post(query):
        request = rf.post("/graphql/", {"query": query}, content_type="application/json")
        request.user = AnonymousUser()
        return json.loads(view(request).content)

    return post


def test_a_loader_asks_its_selector_once():
    asked = []

    def doubled(keys):
        asked.append(list(keys))
        return {key: key * 2 for key in keys if key != 3}

    async def load():
        loader = SelectorLoader(doubled)
        return await gather(*(loader.load(key) for key in (1, 2, 3, 1)))

    assert async_to_sync(load)() == [2, 4, None, 2]
    assert asked == [[1, 2, 3]]


def test_queries_deeper_than_the_limit_are_not_run(ask):
    answer = ask("{" + "self {" * 12 + "broken" + "}" * 13)
    assert [error["message"] for error in answer["errors"]] == ["The query is more than 10 fields deep."]


def test_fragments_that_spread_each_other_cost_nothing(ask):
    doubling = "".join(f"fragment f{n} on Query {{ ...f{n + 1} ...f{n + 1} }} " for n in range(60))
    started = time.process_time()
    answer = ask("{ ...f0 } " + doubling + "fragment f60 on Query { " + "self { " * 11 + "broken" + " }" * 12)
    assert time.process_time() - started < 1
    assert "The query is more than 10 fields deep." in [error["message"] for error in answer["errors"]]


@pytest.fixture
def parsed(monkeypatch):
    """The documents that had to be read."""
    found = []
    parse = graphql.parse
    monkeypatch.setattr(graphql, "parse", lambda query: found.append(query) or parse(query))
    return found


def test_a_document_is_read_once_and_run_each_time(ask, parsed):
    query = "query Again { again: self { refused } }"
    assert [ask(query)["errors"][0]["path"] for _ in range(3)] == [["again", "refused"]] * 3
    assert parsed == [query]


def test_a_bad_document_is_as_bad_the_second_time(ask):
    for query in ("{ nothing_of_the_kind }", "{ self {"):
        answers = [ask(query) for _ in range(2)]
        assert answers[0] == answers[1]
        assert answers[0]["errors"][0]["extensions"] == {"code": "query_invalid"}
        assert answers[0].get("data") is None


def test_long_documents_are_not_kept(ask, parsed):
    query = "{ refused }" + " " * graphql.REMEMBERED_LENGTH
    assert ask(query) == ask(query)
    assert parsed == [query, query]


def test_reading_is_all_that_a_get_may_do(rf):
    schema = graphene.Schema(query=Query, mutation=type("Mutation", (graphene.ObjectType,), {"mutate": graphene.Int()}))
    view = LoadingGraphQLView.as_view(schema=schema)
    answers = {
        query: view(rf.get("/graphql/", {"query": query})) for query in ("{ self { broken } }", "mutation { mutate }")
    }
    assert [answer.status_code for answer in answers.values()] == [200, 405]


def test_no_query_is_a_bad_request(rf):
    request = rf.post("/graphql/", {}, content_type="application/json")
    answer = LoadingGraphQLView.as_view(schema=graphene.Schema(query=Query))(request)
    refused = {"message": "Must provide query string.", "extensions": {"code": "query_invalid"}}
    assert (answer.status_code, json.loads(answer.content)["errors"]) == (400, [refused])


def test_a_refusal_keeps_its_code(ask):
    answer = ask("{ refused }")
    assert [(e["message"], e["extensions"]) for e in answer["errors"]] == [("Not now.", {"code": "conflict"})]


def test_unforeseen_errors_do_not_leak(ask, caplog):
    answer = ask("{ broken }")
    assert answer["errors"] == [{"message": "Something went wrong on our side.", "extensions": {"code": "internal"}}]
    assert "the secret ingredient" in caplog.text


def test_a_signed_in_page_needs_its_csrf_token(rf):
    view = LoadingGraphQLView.as_view(schema=graphene.Schema(query=Query))
    request = rf.post("/graphql/", {"query": "{ __typename }"}, content_type="application/json")
    request.COOKIES["sessionid"] = "somebody"
    request._dont_enforce_csrf_checks = False
    assert view(request).status_code == 403


def test_a_bad_bearer_token_is_nobody_not_the_session(rf):
    view = LoadingGraphQLView.as_view(schema=graphene.Schema(query=Query), authenticate=lambda request: AnonymousUser())
    request = rf.post(
        "/graphql/", {"query": "{ __typename }"}, content_type="application/json", HTTP_AUTHORIZATION="Bearer forged"
    )
    request.COOKIES["sessionid"] = "somebody"
    assert json.loads(view(request).content) == {"data": {"__typename": "Query"}}
    assert not request.user.is_authenticated
