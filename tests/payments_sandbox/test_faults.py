from typing import Any

import httpx
import pytest
import stripe

from deploy.payments_sandbox.server import Server
from tests.payments_sandbox.conftest import pay

CREATE = "POST /v1/payment_intents"


@pytest.mark.parametrize(
    ("kind", "error", "paid_at_once"),
    [
        ("refuse", stripe.APIConnectionError, 0),
        ("drop_before", stripe.APIConnectionError, 0),
        ("429", stripe.RateLimitError, 0),
        ("500_before", stripe.APIError, 0),
        ("503_before", stripe.APIError, 0),
        ("drop_after", stripe.APIConnectionError, 1),
        ("half_answer", stripe.APIConnectionError, 1),
        ("503_after", stripe.APIError, 1),
    ],
)
def test_a_retry_with_the_key_pays_exactly_once(
    client: stripe.StripeClient, control: Any, kind: str, error: type[Exception], paid_at_once: int
) -> None:
    control("faults", endpoint=CREATE, kind=kind)
    with pytest.raises(error):
        pay(client, options={"idempotency_key": "order"})
    assert len(client.v1.payment_intents.list().data) == paid_at_once
    assert pay(client, options={"idempotency_key": "order"}).status == "succeeded"
    assert control("invariants")["totals"]["captured"] == 1000
    assert control("faults")["faults"][0]["hits"] == 1


def test_a_500_after_the_work_stays_the_answer_for_its_key(client: stripe.StripeClient, control: Any) -> None:
    control("faults", endpoint=CREATE, kind="500_after")
    for _ in range(2):
        with pytest.raises(stripe.APIError) as failed:
            pay(client, options={"idempotency_key": "order"})
        assert failed.value.http_status == 500
        assert failed.value.headers["Stripe-Should-Retry"] == "false"
    assert [one.status for one in client.v1.payment_intents.list().data] == ["succeeded"]


def test_faults_hit_only_their_endpoint_and_count(client: stripe.StripeClient, control: Any) -> None:
    control("faults", endpoint="POST /v1/payment_intents/{id}/capture", kind="429", count=2, skip=1)
    ids = [pay(client, capture_method="manual").id for _ in range(4)]
    outcomes = []
    for intent in ids:
        try:
            outcomes.append(client.v1.payment_intents.capture(intent).status)
        except stripe.RateLimitError:
            outcomes.append("429")
    assert outcomes == ["succeeded", "429", "429", "succeeded"]


def test_slowness_is_felt_and_cleared(client: stripe.StripeClient, sandbox: Server, control: Any) -> None:
    control("faults", endpoint="*", kind="slow", seconds=0.5, count=None)
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{sandbox.url}/v1/balance", auth=("sk_test_x", ""), timeout=0.2)
    control("faults", clear=True)
    assert httpx.get(f"{sandbox.url}/v1/balance", auth=("sk_test_x", ""), timeout=0.2).status_code == 200


@pytest.mark.parametrize("given", [{"kind": "meteor"}, {"kind": "429", "endpoint": "POST /v1/unicorns"}, {"count": 1}])
def test_nonsense_is_refused(sandbox: Server, control: Any, given: dict[str, Any]) -> None:
    assert httpx.post(f"{sandbox.url}/_sandbox/faults", json=given).status_code == 400
    assert control("faults") == {"faults": []}
