"""The WebSocket behind an order's page, through the application that uvicorn serves."""

import json

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.conf import settings

import sharding
from apps.common import outbox
from apps.orders import services as orders
from apps.web.api.live import OrderConsumer
from instacart.asgi import application
from tests.orders.factories import MORNING, make_customer, make_placed_order
from tests.queries import counted
from tests.web.pages import signed_in

pytestmark = pytest.mark.django_db(databases="__all__")

QUIET_S = 0.2


class Watcher:
    """A browser's socket to an order. (The one of ``channels.testing`` wants a server that we do not have.)"""

    def __init__(self, order_id, client=None, origin="http://testserver", path="/ws/orders/{}/"):
        headers = [(b"host", b"testserver"), (b"origin", origin.encode())]
        if client is not None:
            session = client.cookies[settings.SESSION_COOKIE_NAME].value
            headers.append((b"cookie", f"{settings.SESSION_COOKIE_NAME}={session}".encode()))
        path = path.format(order_id)
        scope = {"type": "websocket", "path": path, "query_string": b"", "headers": headers, "subprotocols": []}
        self.socket = ApplicationCommunicator(application, scope)

    async def __aenter__(self):
        await self.socket.send_input({"type": "websocket.connect"})
        self.answer = await self.heard()
        return self

    async def __aexit__(self, *failure):
        await self.socket.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.socket.wait(timeout=5)

    async def heard(self):
        return await self.socket.receive_output(timeout=5)

    async def said(self):
        answer = await self.heard()
        assert answer["type"] == "websocket.send", answer
        return json.loads(answer["text"])

    async def is_silent(self):
        return await self.socket.receive_nothing(timeout=QUIET_S)

    async def closed_with(self):
        assert self.answer["type"] == "websocket.accept"  # a browser reads no code from a refusal before that
        answer = await self.heard()
        return answer["type"], answer.get("code")


def run(scene):
    """Play an asynchronous scene; its database work stays in this thread and in the test's transaction."""
    async_to_sync(scene)()


async def tell(work):
    await sync_to_async(work)()


@pytest.fixture(autouse=True)
def connections_stay_open(monkeypatch):
    """Channels closes connections that are in a transaction; here it would be the test's own."""
    monkeypatch.setattr("channels.db.close_old_connections", lambda: None)


@pytest.fixture
def order():
    return make_placed_order()


def acknowledge(order):
    def work():
        orders.transition(order_id=order.id, to="acknowledged", actor="shopper:7", now=MORNING)
        outbox.drain()

    return work


def test_the_customer_is_told_where_the_order_stands_and_when_it_moves(order):
    client = signed_in(order.customer_id)

    async def scene():
        async with Watcher(order.id, client) as watcher:
            assert watcher.answer["type"] == "websocket.accept"
            assert await watcher.said() == {"sequence": order.sequence, "status": "brand_new"}
            assert await watcher.is_silent()
            await tell(acknowledge(order))
            assert await watcher.said() == {"sequence": order.sequence + 1, "status": "acknowledged"}

    run(scene)


def test_every_window_on_the_order_hears_it_and_no_other(order):
    other = make_placed_order()
    client, others = signed_in(order.customer_id), signed_in(other.customer_id)

    async def scene():
        async with (
            Watcher(order.id, client) as first,
            Watcher(order.id, client) as second,
            Watcher(other.id, others) as foreign,
        ):
            for watcher in (first, second, foreign):
                await watcher.said()
            await tell(acknowledge(order))
            for watcher in (first, second):
                assert (await watcher.said())["status"] == "acknowledged"
            assert await foreign.is_silent()

    run(scene)


def test_what_happens_while_the_socket_opens_is_not_missed(order, monkeypatch):
    """The change comes after the permission was checked and before anything is read."""
    client = signed_in(order.customer_id)
    check = OrderConsumer._is_theirs

    def check_then_change(consumer):
        is_theirs = check(consumer)
        acknowledge(order)()
        return is_theirs

    monkeypatch.setattr(OrderConsumer, "_is_theirs", check_then_change)

    async def scene():
        async with Watcher(order.id, client) as watcher:
            assert (await watcher.said())["status"] == "acknowledged"

    run(scene)


@pytest.mark.parametrize("who", ["visitor", "other customer", "unknown order", "impossible order"])
def test_nobody_else_gets_in_and_all_are_told_alike(order, who):
    client = None if who == "visitor" else signed_in(make_customer().id)
    order_id = {"unknown order": order.id + (1 << 22), "impossible order": 10**30}.get(who, order.id)

    async def scene():
        async with Watcher(order_id, client) as watcher:
            assert await watcher.closed_with() == ("websocket.close", 4404)
            await tell(acknowledge(order))
            assert await watcher.is_silent()

    run(scene)


def test_an_unknown_path_is_told_the_same():
    async def scene():
        async with Watcher(1, path="/ws/baskets/{}/") as watcher:
            assert await watcher.closed_with() == ("websocket.close", 4404)

    run(scene)


def test_another_sites_page_cannot_listen(order):
    client = signed_in(order.customer_id)

    async def scene():
        async with Watcher(order.id, client, origin="https://evil.example") as watcher:
            assert watcher.answer["type"] == "websocket.close"
            assert await watcher.is_silent()

    run(scene)


def test_who_has_signed_out_is_nobody(order):
    client = signed_in(order.customer_id)
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    client.post("/sign-out/")
    client.cookies[settings.SESSION_COOKIE_NAME] = session

    async def scene():
        async with Watcher(order.id, client) as watcher:
            assert await watcher.closed_with() == ("websocket.close", 4404)

    run(scene)


def test_opening_one_asks_the_global_database_and_the_orders_own(order):
    make_placed_order()  # somebody else's, on another shard
    client = signed_in(order.customer_id)
    client.get("/orders/")

    async def scene():
        async with Watcher(order.id, client) as watcher:
            await watcher.said()

    with counted() as queries:
        run(scene)
    assert queries.by_alias == {"default": 1, sharding.alias_for("customer", order.customer_id): 6}
