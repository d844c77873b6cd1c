import threading
from typing import Any

import httpx
import pytest
import stripe

from deploy.payments_sandbox.server import Server
from tests.payments_sandbox.conftest import client_of, pay


def test_the_same_request_gets_the_same_answer(client: stripe.StripeClient) -> None:
    first = pay(client, options={"idempotency_key": "order-1"})
    again = pay(client, options={"idempotency_key": "order-1"})
    assert first.id == again.id
    assert "Idempotent-Replayed" not in first.last_response.headers
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert len(client.v1.payment_intents.list().data) == 1


def test_a_decline_is_kept_too(client: stripe.StripeClient) -> None:
    bodies = []
    for _ in range(2):
        with pytest.raises(stripe.CardError) as declined:
            pay(client, "pm_card_chargeDeclined", options={"idempotency_key": "order-2"})
        bodies.append(declined.value.json_body)
    assert bodies[0] == bodies[1]
    assert len(client.v1.charges.list().data) == 1


def test_another_request_under_the_same_key_is_refused(client: stripe.StripeClient) -> None:
    pay(client, amount=1000, options={"idempotency_key": "order-3"})
    with pytest.raises(stripe.IdempotencyError, match="same parameters"):
        pay(client, amount=1001, options={"idempotency_key": "order-3"})
    with pytest.raises(stripe.IdempotencyError, match="same endpoint"):
        client.v1.customers.create({}, {"idempotency_key": "order-3"})
    assert [one.amount for one in client.v1.payment_intents.list().data] == [1000]
    assert client.v1.customers.list().data == []


def test_what_failed_validation_leaves_the_key_free(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        pay(client, colour="red", options={"idempotency_key": "order-4"})
    assert pay(client, options={"idempotency_key": "order-4"}).status == "succeeded"


def test_keys_belong_to_their_api_key(sandbox: Server, client: stripe.StripeClient) -> None:
    other = client_of(sandbox, "sk_test_other")
    assert (
        pay(client, options={"idempotency_key": "order-5"}).id != pay(other, options={"idempotency_key": "order-5"}).id
    )


def test_keys_are_forgotten_after_a_day(client: stripe.StripeClient, control: Any) -> None:
    first = pay(client, options={"idempotency_key": "order-6"})
    control("clock", advance=86_399 - 60)
    assert pay(client, options={"idempotency_key": "order-6"}).id == first.id
    control("clock", advance=120)
    assert pay(client, options={"idempotency_key": "order-6"}).id != first.id


def test_of_two_at_once_one_works_and_one_conflicts(sandbox: Server, control: Any) -> None:
    control("faults", endpoint="POST /v1/payment_intents", kind="slow", seconds=1.0, count=2)
    gate, answers = threading.Barrier(2), []

    def buy() -> None:
        form = {"amount": 1000, "currency": "usd"}
        gate.wait()
        url = f"{sandbox.url}/v1/payment_intents"
        answers.append(httpx.post(url, data=form, auth=("sk_test_x", ""), headers={"Idempotency-Key": "order-7"}))

    threads = [threading.Thread(target=buy) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    conflict, done = sorted(answers, key=lambda answer: -answer.status_code)
    assert (conflict.status_code, conflict.json()["error"]["code"]) == (409, "idempotency_key_in_use")
    assert done.status_code == 200
    assert [one["id"] for one in control("dump")["objects"]["payment_intent"]] == [done.json()["id"]]


def test_the_sdk_finds_a_lost_answer_again(sandbox: Server, control: Any) -> None:
    control("faults", endpoint="POST /v1/payment_intents", kind="drop_after")
    patient = client_of(sandbox, max_network_retries=2)
    intent = pay(patient, options={"idempotency_key": "order-8"})
    assert intent.last_response.headers["Idempotent-Replayed"] == "true"
    assert control("invariants")["totals"]["captured"] == 1000
