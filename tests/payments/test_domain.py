from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from apps.payments import domain
from apps.payments.types import PaymentStatus as Status

everything = st.sampled_from(list(domain.OUTCOMES))


def follow(status, news):
    """As ``services.states`` does it: the first meaning of the news to which the payment can move."""
    return next((target for target in domain.OUTCOMES[news] if status in domain.sources(target)), status)


def test_every_status_has_its_place():
    assert set(domain.NEXT) == set(Status)


def test_what_is_over_stays_over():
    assert {status for status, following in domain.NEXT.items() if not following} == {
        Status.CAPTURED,
        Status.VOIDED,
    }


@given(st.sampled_from(list(Status)), st.lists(everything, max_size=12))
def test_no_news_undo_a_decision(status, news):
    """Whatever the provider says, in whatever order: what we take or release stays decided, old news are nothing."""
    seen = [status]
    for one in news:
        seen.append(follow(seen[-1], one))
    moves = [(before, after) for before, after in pairwise(seen) if before != after]
    assert all(after in domain.NEXT[before] for before, after in moves)
    assert len(moves) == len(set(moves))
    assert Status.CAPTURING not in seen[1:] or status == Status.CAPTURING
    assert Status.VOIDING not in seen[1:] or status == Status.VOIDING
    if status == Status.VOIDING:
        assert set(seen) <= {Status.VOIDING, Status.VOIDED, Status.CAPTURED}


def test_a_canceled_intent_is_what_we_asked_for_or_not():
    assert follow(Status.VOIDING, "canceled") == Status.VOIDED
    assert follow(Status.AUTHORISED, "canceled") == Status.EXPIRED


def test_keys():
    assert domain.idempotency_key(order_id=12, step="estimate", version=3) == "order-12:estimate:3"
