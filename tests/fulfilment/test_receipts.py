"""The till's receipt, and the bags, before an order leaves a store that wants them checked."""

import struct
import zlib
from decimal import Decimal

import pytest
from django.core.files.storage import default_storage

from apps.common.errors import PhotoInvalid
from apps.fulfilment import domain, errors, models, selectors, services
from apps.stores import services as stores
from tests.fulfilment.factories import NOW, make_assigned_store_order
from tests.stores.factories import make_store
from tests.threads import answers_at_once

ME, OTHER = 31, 32
BEANS, BANANAS = 700_001, 700_002
TOTAL = 2 * 129 + 148
"""Cents: two beans, and 2.5 lb of bananas at 59, which are 147.5."""


@pytest.fixture
def store():
    store = make_store()
    stores.set_receipt_check(store_id=store.id, is_on=True)
    return store


@pytest.fixture
def mine(store):
    """A checked-out order of a store that checks receipts."""
    store_order_id = make_assigned_store_order(store=store, shopper_id=ME, order_id=9)
    mine = {"store_order_id": store_order_id, "shopper_id": ME, "now": NOW}
    services.start_picking(**mine)
    services.mark_found(**mine, line_id=BEANS, quantity=Decimal(2))
    services.mark_found(**mine, line_id=BANANAS, quantity=Decimal("2.5"))
    services.check_out(**mine)
    return mine


def row(mine):
    return models.StoreOrder.objects.get(pk=mine["store_order_id"])


def state(mine):
    receipt = selectors.receipt(store_id=row(mine).store_id, order_id=9)
    return receipt and (receipt.attempt, receipt.entered.cents, receipt.expected.cents, receipt.state)


def picture():
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\x00\x80")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("entered", "expected", "is_right"),
    [
        (1000, 1000, True),
        (1050, 1000, True),
        (1051, 1000, False),
        (950, 1000, True),
        (949, 1000, False),
        (10_100, 10_000, True),
        (10_101, 10_000, False),
        (9_900, 10_000, True),
        (9_899, 10_000, False),
    ],
)
def test_a_receipt_may_differ_by_one_percent_or_half_a_dollar(entered, expected, is_right):
    assert domain.receipt_is_right(entered, expected) is is_right


@pytest.mark.django_db(databases="__all__")
class TestOneOrder:
    def test_it_leaves_with_a_right_receipt_and_counted_bags(self, mine):
        with pytest.raises(errors.ReceiptMissing):
            services.start_delivery(**mine)
        for is_new in (True, False):
            assert services.enter_receipt(**mine, total_cents=TOTAL + 50, attempt=1) is is_new
        assert state(mine) == (1, TOTAL + 50, TOTAL, "passed")
        with pytest.raises(errors.BagsUncounted):
            services.start_delivery(**mine)
        assert [services.count_bags(**mine, count=2) for _ in range(2)] == [True, False]
        assert services.start_delivery(**mine) is True
        assert (row(mine).status, row(mine).bag_count, row(mine).receipt_passed_at) == ("delivering", 2, NOW)
        assert selectors.flagged_receipts() == ()

    def test_the_same_wrong_total_twice_goes_on_with_a_flag(self, mine):
        for _ in range(2):  # a network that sends twice is no second look
            with pytest.raises(errors.ReceiptDiffers):
                services.enter_receipt(**mine, total_cents=TOTAL + 51, attempt=1)
        assert (state(mine), row(mine).receipt_passed_at) == ((1, TOTAL + 51, TOTAL, "recount"), None)
        assert services.enter_receipt(**mine, total_cents=TOTAL + 51, attempt=2) is True
        assert state(mine) == (2, TOTAL + 51, TOTAL, "flagged")
        (flagged,) = selectors.flagged_receipts()
        assert (flagged.order_id, flagged.store_id) == (9, row(mine).store_id)
        for is_new in (True, False):
            seen = services.see_receipt(store_id=row(mine).store_id, order_id=9, user_id=4, now=NOW)
            assert seen is is_new
        assert selectors.flagged_receipts() == ()

    def test_another_total_is_a_first_look_again(self, mine):
        for attempt, total in ((1, TOTAL + 100), (2, TOTAL + 200)):
            with pytest.raises(errors.ReceiptDiffers):
                services.enter_receipt(**mine, total_cents=total, attempt=attempt)
        assert services.enter_receipt(**mine, total_cents=TOTAL, attempt=3) is True
        assert state(mine) == (3, TOTAL, TOTAL, "passed")

    def test_what_passed_is_not_taken_back(self, mine):
        services.enter_receipt(**mine, total_cents=TOTAL, attempt=1)
        assert services.enter_receipt(**mine, total_cents=0, attempt=2) is False
        assert state(mine) == (1, TOTAL, TOTAL, "passed")

    def test_a_photo_is_kept_with_the_entry_that_counts_and_no_other(self, mine, media):
        services.enter_receipt(**mine, total_cents=TOTAL, attempt=1, photo=picture())
        kept = models.Receipt.objects.get(store_id=row(mine).store_id).photo
        with default_storage.open(kept) as file:
            assert file.read() == picture()
        before = default_storage.listdir("receipts")[1]
        assert services.enter_receipt(**mine, total_cents=TOTAL, attempt=1, photo=picture()) is False
        assert default_storage.listdir("receipts")[1] == before
        with pytest.raises(PhotoInvalid):
            services.enter_receipt(**mine, total_cents=TOTAL, attempt=2, photo=b"no picture")

    @pytest.mark.parametrize(("total", "attempt"), [(-1, 1), (10**9, 1), (1, 0), (1, 10**6)])
    def test_what_no_till_prints_is_refused(self, mine, total, attempt):
        with pytest.raises(errors.ReceiptInvalid):
            services.enter_receipt(**mine, total_cents=total, attempt=attempt)
        assert state(mine) is None

    @pytest.mark.parametrize("count", [0, -1, 100])
    def test_no_order_is_in_so_many_bags(self, mine, count):
        with pytest.raises(errors.ReceiptInvalid):
            services.count_bags(**mine, count=count)
        assert row(mine).bag_count is None

    def test_nobody_else_enters_one(self, mine):
        theirs = {**mine, "shopper_id": OTHER}
        with pytest.raises(errors.StoreOrderNotFound):
            services.enter_receipt(**theirs, total_cents=TOTAL, attempt=1)
        with pytest.raises(errors.StoreOrderNotFound):
            services.count_bags(**theirs, count=1)
        assert (state(mine), row(mine).bag_count) == (None, None)

    def test_not_before_the_check_out(self, store):
        mine = {"store_order_id": make_assigned_store_order(store=store, shopper_id=ME), "shopper_id": ME, "now": NOW}
        with pytest.raises(errors.WrongStage):
            services.enter_receipt(**mine, total_cents=TOTAL, attempt=1)
        with pytest.raises(errors.WrongStage):
            services.count_bags(**mine, count=1)

    def test_an_empty_bag_needs_no_receipt(self, store):
        mine = {"store_order_id": make_assigned_store_order(store=store, shopper_id=ME), "shopper_id": ME, "now": NOW}
        services.start_picking(**mine)
        for line_id in (BEANS, BANANAS):
            services.mark_refund(**mine, line_id=line_id, reason="out_of_stock")
        services.check_out(**mine)
        assert services.start_delivery(**mine) is True

    def test_what_the_store_wants_when_the_order_comes_counts(self, store, mine):
        stores.set_receipt_check(store_id=store.id, is_on=False)
        with pytest.raises(errors.ReceiptMissing):
            services.start_delivery(**mine)
        later = {"store_order_id": make_assigned_store_order(store=store, shopper_id=ME), "shopper_id": ME, "now": NOW}
        services.start_picking(**later)
        services.mark_found(**later, line_id=BEANS, quantity=Decimal(2))
        services.mark_refund(**later, line_id=BANANAS, reason="other")
        services.check_out(**later)
        assert services.start_delivery(**later) is True


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_ten_phones_that_send_the_second_look_pass_it_once(mine):
    with pytest.raises(errors.ReceiptDiffers):
        services.enter_receipt(**mine, total_cents=0, attempt=1)
    answers = answers_at_once(lambda _: services.enter_receipt(**mine, total_cents=0, attempt=2), 10)
    assert sorted(answers) == [False] * 9 + [True]
    assert state(mine) == (2, 0, TOTAL, "flagged")
