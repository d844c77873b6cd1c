import graphene
from graphene import relay

from apps.carts import selectors, services
from apps.carts.types import LineInput
from apps.common.api import ids
from apps.common.api.actor import customer_id
from apps.common.api.graphql import on_db_thread


class CartLine(graphene.ObjectType):
    class Meta:
        description = "How much of one item a cart holds, at today's price."

    item_id = graphene.ID(required=True)
    name = graphene.String(required=True)
    quantity = graphene.Decimal(required=True, description="In costUnit.")
    cost_unit = graphene.String(required=True)
    sold_by = graphene.String(required=True, description="count or weight")
    unit_price_cents = graphene.Int(required=True)
    total_cents = graphene.Int(required=True)
    note = graphene.String(required=True)
    replacement_policy = graphene.String(required=True, description="best_match, item or refund")
    replacement_item_id = graphene.ID(description="For the policy item: which one.")
    replacement_name = graphene.String(required=True)
    pieces = graphene.Int(description="Asked for, of something weighed; quantity is what they usually weigh.")
    price_before_cents = graphene.Int(description="Of a unit when the line was put in, where it was another.")
    unit_price_text = graphene.String(required=True, description="Such as 26.9¢/oz; empty where the size does not say.")
    is_available = graphene.Boolean(required=True)

    def resolve_unit_price_cents(line, info):
        return line.unit_price.cents

    def resolve_price_before_cents(line, info):
        return line.price_before.cents if line.price_before else None

    def resolve_unit_price_text(line, info):
        return line.item.unit_price_text if line.item else ""

    def resolve_total_cents(line, info):
        return line.total.cents


class Cart(graphene.ObjectType):
    id = graphene.ID(description="Missing until something was put in.")
    store_id = graphene.ID(required=True)
    version = graphene.Int(required=True, description="Hand it to placeOrder: the order is of the cart you saw.")
    lines = graphene.List(graphene.NonNull(CartLine), required=True)
    subtotal_cents = graphene.Int(required=True)
    minimum_age = graphene.Int(
        required=True, description="In years; above 0, placeOrder wants the customer's birthDate."
    )

    def resolve_subtotal_cents(cart, info):
        return cart.subtotal.cents


def _parse_replacement(line):
    """Wire ids are strings."""
    if line.get("replacement_item_id") is not None:
        line["replacement_item_id"] = ids.parse(line["replacement_item_id"])


class SetCartLine(relay.ClientIDMutation):
    class Input:
        store_id = graphene.ID(required=True)
        item_id = graphene.ID(required=True)
        quantity = graphene.Decimal(required=True, description="Exactly this much; zero takes the item out.")
        note = graphene.String(default_value="")
        replacement_policy = graphene.String(description="Left out: what the customer chose last for the item.")
        replacement_item_id = graphene.ID(description="For the policy item.")
        in_pieces = graphene.Boolean(default_value=False, description="Of something weighed: so many pieces.")
        version = graphene.Int(description="Refuse with cart_stale if the cart is at another version.")

    cart = graphene.Field(Cart, required=True)

    @classmethod
    @on_db_thread
    def mutate_and_get_payload(cls, root, info, *, store_id, item_id, client_mutation_id=None, **line):
        customer, store = customer_id(info.context), ids.parse(store_id)
        _parse_replacement(line)
        services.set_line(customer_id=customer, store_id=store, item_id=ids.parse(item_id), **line)
        return cls(cart=selectors.cart(customer_id=customer, store_id=store))


class CartLineInput(graphene.InputObjectType):
    item_id = graphene.ID(required=True)
    quantity = graphene.Decimal(required=True, description="Exactly this much; zero takes the item out.")
    note = graphene.String(default_value="")
    replacement_policy = graphene.String(description="Left out: what the customer chose last for the item.")
    replacement_item_id = graphene.ID(description="For the policy item.")
    in_pieces = graphene.Boolean(default_value=False, description="Of something weighed: so many pieces.")


class SetCartLines(relay.ClientIDMutation):
    class Meta:
        description = "Several lines at once, all or none; items that are not named stay as they are."

    class Input:
        store_id = graphene.ID(required=True)
        lines = graphene.List(graphene.NonNull(CartLineInput), required=True)
        version = graphene.Int(description="Refuse with cart_stale if the cart is at another version.")

    cart = graphene.Field(Cart, required=True)

    @classmethod
    @on_db_thread
    def mutate_and_get_payload(cls, root, info, *, store_id, lines, version=None, **_):
        customer, store = customer_id(info.context), ids.parse(store_id)
        for line in lines:
            _parse_replacement(line)
        wanted = [LineInput(**{**line, "item_id": ids.parse(line["item_id"])}) for line in lines]
        services.set_lines(customer_id=customer, store_id=store, lines=wanted, version=version)
        return cls(cart=selectors.cart(customer_id=customer, store_id=store))


class Query:
    cart = graphene.Field(Cart, required=True, store_id=graphene.ID(required=True))

    @on_db_thread
    def resolve_cart(root, info, store_id):
        return selectors.cart(customer_id=customer_id(info.context), store_id=ids.parse(store_id))


class Mutation:
    set_cart_line = SetCartLine.Field()
    set_cart_lines = SetCartLines.Field()
