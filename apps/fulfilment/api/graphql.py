import graphene
from graphene import relay

from apps.common import clock
from apps.common.api import ids
from apps.common.api.actor import customer_id
from apps.common.api.graphql import on_db_thread
from apps.common.errors import IdempotencyKeyMissing
from apps.fulfilment import services
from apps.orders import selectors as orders
from apps.orders.api.graphql import Order
from apps.orders.types import LineWish


class OrderLineInput(graphene.InputObjectType):
    item_id = graphene.ID(required=True)
    quantity = graphene.Decimal(required=True, description="In the item's cost unit; 0 takes it out of the order.")


class EditOrder(relay.ClientIDMutation):
    class Meta:
        description = (
            "Add items to an order, or change or take out lines, until its shopper has checked out. Lines that are not "
            "named stay. Where the card's hold is too small the difference is held first."
        )

    class Input:
        order_id = graphene.ID(required=True)
        lines = graphene.List(graphene.NonNull(OrderLineInput), required=True)
        birth_date = graphene.Date(description="Of the customer, with the first alcohol in the order. It is not kept.")
        idempotency_key = graphene.String(required=True)

    order = graphene.Field(Order, required=True)

    @classmethod
    @on_db_thread
    def mutate_and_get_payload(cls, root, info, *, order_id, lines, idempotency_key, birth_date=None, **_):
        customer, order = customer_id(info.context), ids.parse(order_id)
        if not idempotency_key:
            raise IdempotencyKeyMissing("Send an idempotency key of your own, such as a UUID.")
        services.edit(
            order_id=order,
            customer_id=customer,
            wishes=[LineWish(item_id=ids.parse(line["item_id"]), quantity=line["quantity"]) for line in lines],
            idempotency_key=idempotency_key,
            birth_date=birth_date,
            now=clock.now(),
        )
        return cls(order=orders.order(order_id=order, customer_id=customer))


class Mutation:
    edit_order = EditOrder.Field()
