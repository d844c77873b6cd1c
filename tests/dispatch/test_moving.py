"""Every step that a table of states has is taken, and no other; on whichever shard."""

from itertools import product

import pytest

from apps.dispatch import domain, models
from apps.dispatch.domain import BatchStatus, OfferStatus, StopState
from apps.dispatch.services import moving
from apps.shoppers import domain as shoppers
from apps.shoppers import models as shopper_models
from apps.shoppers import moving as shopper_moving
from apps.shoppers.domain import AssignmentState
from tests.dispatch.factories import NOW, make_offer
from tests.threads import answers_at_once

pytestmark = pytest.mark.django_db(databases="__all__", transaction=True)

NOBODYS = {BatchStatus.OPEN, BatchStatus.OFFERED}


def test_batches():
    offered = make_offer()
    rows = models.Batch.objects.filter(pk=offered.batch_id)
    for before, after in product(BatchStatus, BatchStatus):
        rows.update(status=before, shopper_id=None if before in NOBODYS else offered.shopper_id)
        whose = {"shopper_id": None if after in NOBODYS else offered.shopper_id}
        assert moving.batches(rows, after, **whose) == (after in domain.BATCH_TRANSITIONS[before]), (before, after)
        assert rows.get().status == (after if after in domain.BATCH_TRANSITIONS[before] else before)


def test_offers():
    rows = models.Offer.objects.filter(pk=make_offer().offer_id)
    for before, after in product(OfferStatus, OfferStatus):
        rows.update(status=before, ended_at=None)
        is_step = after in domain.OFFER_TRANSITIONS[before]
        assert moving.offers(rows, after, ended_at=NOW) == is_step, (before, after)
        assert (rows.get().status, rows.get().ended_at) == ((after, NOW) if is_step else (before, None))


def test_stops():
    offered = make_offer()
    rows = models.BatchStop.objects.filter(batch_id=offered.batch_id, kind="drop")
    for before, after in product(StopState, StopState):
        rows.update(state=before)
        assert moving.stops(rows, after) == (after in domain.STOP_TRANSITIONS[before]), (before, after)


def test_assignments():
    offered = make_offer()
    rows = shopper_models.Assignment.objects.filter(shopper_id=offered.shopper_id)
    for before, after in product(AssignmentState, AssignmentState):
        rows.update(state=before, expires_at=NOW)
        is_step = after in shoppers.ASSIGNMENT_TRANSITIONS[before]
        assert shopper_moving.assignments(rows, after) == is_step, (before, after)
        assert rows.get().state == (after if is_step else before)


def test_of_many_who_end_an_offer_one_does():
    rows = models.Offer.objects.filter(pk=make_offer().offer_id)
    ends = [OfferStatus.DECLINED, OfferStatus.EXPIRED, OfferStatus.WITHDRAWN, OfferStatus.ACCEPTED] * 5
    moved = answers_at_once(lambda i: moving.offers(rows, ends[i]), len(ends))
    assert sorted(moved) == [0] * (len(ends) - 1) + [1]
    assert rows.get().status == ends[moved.index(1)]
