import graphene
from graphene import relay

from apps.accounts import selectors as accounts
from apps.carts import selectors as carts
from apps.common import clock
from apps.common.api import ids
from apps.common.api.actor import customer_id
from apps.common.api.graphql import on_db_thread
from apps.common.errors import IdempotencyKeyMissing
from apps.common.money import Money
from apps.orders import selectors, services
from apps.orders.api.receipt_types import Receipt, cents
from apps.orders.api.replacement_types import Alternative, Replacement
from apps.orders.errors import ReceiptNotReady
from apps.slots import selectors as slots
from apps.stores import selectors as stores


class OrderLine(graphene.ObjectType):
    id = graphene.ID(required=True)
    item_id = graphene.ID(required=True)
    name = graphene.String(required=True)
    quantity = graphene.Decimal(required=True)
    found_quantity = graphene.Decimal(description="What was taken from the shelf; null until the line was picked.")
    cost_unit = graphene.String(required=True)
    unit_price_cents = graphene.Int(required=True)
    note = graphene.String(required=True)
    replacement_policy = graphene.String(required=True)
    replacement_item_id = graphene.ID(description="The one to bring instead, where the policy is item.")
    pieces = graphene.Int(description="Asked for, of something weighed; quantity is what they usually weigh.")
    status = graphene.String(required=True)
    replacement = graphene.Field(Replacement, description="What is delivered instead, of a line that is replaced.")
    takes_wishes = graphene.Boolean(required=True, description="chooseReplacement may still be asked for it.")
    reason = graphene.String(required=True, description="Why it is not brought: out_of_stock, taken_out and so on.")
    is_partial = graphene.Boolean(required=True, description="Less was found than was ordered.")
    is_taken_out = graphene.Boolean(required=True, description="By the customer, after ordering.")

    resolve_unit_price_cents = cents("unit_price")


class OrderAdjustment(graphene.ObjectType):
    class Meta:
        description = "One line of the receipt. The total is the sum of one phase's lines."

    kind = graphene.String(required=True)
    code = graphene.String(required=True, description="The stage of the pricing, such as sale, small_basket, surge.")
    label = graphene.String(required=True)
    amount_cents = graphene.Int(required=True)
    line_id = graphene.ID()
    phase = graphene.String(required=True, description="estimate or final")
    reason = graphene.String(required=True)

    resolve_amount_cents = cents("amount")


class OrderEvent(graphene.ObjectType):
    sequence = graphene.Int(required=True)
    name = graphene.String(required=True)
    to_status = graphene.String(required=True)
    at = graphene.DateTime(required=True)


class OrderAddress(graphene.ObjectType):
    name = graphene.String(required=True)
    line1 = graphene.String(required=True)
    line2 = graphene.String(required=True)
    city = graphene.String(required=True)
    state = graphene.String(required=True)
    postcode = graphene.String(required=True)
    instructions = graphene.String(required=True)


class OrderSummary(graphene.ObjectType):
    id = graphene.ID(required=True)
    store_id = graphene.ID(required=True)
    status = graphene.String(required=True)
    status_title = graphene.String(required=True)
    placed_at = graphene.DateTime(required=True)
    window_starts_at = graphene.DateTime(required=True)
    window_ends_at = graphene.DateTime(required=True)
    total_cents = graphene.Int(required=True)
    line_count = graphene.Int(required=True)

    resolve_total_cents = cents("total")


class OrderPage(graphene.ObjectType):
    nodes = graphene.List(graphene.NonNull(OrderSummary), required=True)
    next_cursor = graphene.String(description="Pass it as `after` for the next page; null on the last.")

    def resolve_nodes(page, info):
        return page.orders


class Order(graphene.ObjectType):
    id = graphene.ID(required=True)
    store_id = graphene.ID(required=True)
    status = graphene.String(required=True)
    status_title = graphene.String(required=True)
    rejected_code = graphene.String(required=True)
    placed_at = graphene.DateTime(required=True)
    confirmed_at = graphene.DateTime()
    delivered_at = graphene.DateTime()
    window_starts_at = graphene.DateTime(required=True)
    window_ends_at = graphene.DateTime(required=True)
    address = graphene.Field(OrderAddress)
    pin = graphene.String(required=True, description="Say it to the shopper at the door.")
    is_cancelable = graphene.Boolean(required=True)
    is_reschedulable = graphene.Boolean(
        required=True, description="As long as its present window is not past its cut-off."
    )
    is_editable = graphene.Boolean(required=True, description="As long as its shopper has not checked out: editOrder.")
    tip_cents = graphene.Int(required=True)
    estimate_cents = graphene.Int(required=True)
    total_cents = graphene.Int(required=True, description="Final once picking is over, the estimate before.")
    authorised_cents = graphene.Int(required=True)
    captured_cents = graphene.Int(description="What the card was charged; null before the delivery.")
    lines = graphene.List(graphene.NonNull(OrderLine), required=True)
    adjustments = graphene.List(graphene.NonNull(OrderAdjustment), required=True)
    events = graphene.List(graphene.NonNull(OrderEvent), required=True)
    questions = graphene.List(
        graphene.NonNull(Replacement), required=True, description="Replacements that wait for the customer's answer."
    )
    receipt = graphene.Field(Receipt, description="Null before the delivery.")

    @on_db_thread
    def resolve_receipt(order, info):
        try:
            return selectors.receipt(order_id=order.id, customer_id=order.customer_id)
        except ReceiptNotReady:
            return None

    resolve_tip_cents = cents("tip")
    resolve_estimate_cents = cents("estimate")
    resolve_total_cents = cents("total")
    resolve_authorised_cents = cents("authorised")
    resolve_captured_cents = cents("captured")


class Tip(graphene.ObjectType):
    class Meta:
        description = "The tip of a delivered order. All of it is the shopper's."

    amount_cents = graphene.Int(required=True)
    paid_cents = graphene.Int(required=True, description="What the order came to without it: for percentages.")
    most_cents = graphene.Int(required=True)
    raisable_until = graphene.DateTime(required=True)
    is_raisable = graphene.Boolean(required=True)
    is_under_way = graphene.Boolean(required=True, description="More is being charged; ask again in a minute.")
    declined_code = graphene.String(required=True, description="Why the last raise was not charged, if it was not.")

    resolve_amount_cents = cents("amount")
    resolve_paid_cents = cents("paid")
    resolve_most_cents = cents("most")


class CancellationQuote(graphene.ObjectType):
    class Meta:
        description = "Whether the customer may cancel an order now, and what it costs."

    is_possible = graphene.Boolean(required=True)
    fee_cents = graphene.Int(required=True, description="Show it, and give it to cancelOrder as agreedFeeCents.")

    resolve_fee_cents = cents("fee")


class Charge(graphene.ObjectType):
    kind = graphene.String(required=True)
    code = graphene.String(required=True, description="The stage of the pricing, such as sale, small_basket, surge.")
    label = graphene.String(required=True)
    amount_cents = graphene.Int(required=True)

    resolve_amount_cents = cents("amount")


class OrderPreview(graphene.ObjectType):
    class Meta:
        description = "What the cart would cost if it were ordered now; nothing is reserved by asking."

    charges = graphene.List(graphene.NonNull(Charge), required=True)
    total_cents = graphene.Int(required=True, description="Show it, and give it to placeOrder as expectedTotalCents.")
    hold_cents = graphene.Int(required=True, description="What the card would be authorised for.")

    resolve_total_cents = cents("total")
    resolve_hold_cents = cents("hold")


class PlaceOrder(relay.ClientIDMutation):
    class Input:
        store_id = graphene.ID(required=True)
        cart_version = graphene.Int(required=True)
        window_id = graphene.ID(required=True)
        address_id = graphene.ID(required=True)
        card_id = graphene.ID(required=True)
        tip_cents = graphene.Int(default_value=0)
        promotion_code = graphene.String(default_value="")
        expected_total_cents = graphene.Int(
            description="What the customer was shown: where it is more by now, price_changed, and nothing is ordered."
        )
        birth_date = graphene.Date(description="Of the customer, where the cart has a minimumAge. It is not kept.")
        idempotency_key = graphene.String(required=True)

    order_id = graphene.ID(required=True)
    status = graphene.String(required=True)
    action_url = graphene.String(description="Where the customer's bank wants to see them before it agrees.")
    rejected_code = graphene.String(required=True)

    @classmethod
    @on_db_thread
    def mutate_and_get_payload(cls, root, info, *, tip_cents=0, expected_total_cents=None, **request):
        customer = customer_id(info.context)
        if not request["idempotency_key"]:
            raise IdempotencyKeyMissing("Send an idempotency key of your own, such as a UUID.")
        store = stores.store(store_id=ids.parse(request["store_id"]))
        placed = services.place(
            customer_id=customer,
            store_id=store.id,
            cart_version=request["cart_version"],
            window_id=ids.parse(request["window_id"]),
            address_id=ids.parse(request["address_id"]),
            card_id=ids.parse(request["card_id"]),
            tip=Money(tip_cents, store.currency),
            promotion_code=request.get("promotion_code", ""),
            seen_total=None if expected_total_cents is None else Money(expected_total_cents, store.currency),
            birth_date=request.get("birth_date"),
            idempotency_key=request["idempotency_key"],
            now=clock.now(),
        )
        return cls(
            order_id=placed.order_id,
            status=placed.status,
            action_url=placed.action_url,
            rejected_code=placed.rejected_code,
        )


class CancelOrder(relay.ClientIDMutation):
    class Input:
        order_id = graphene.ID(required=True)
        reason = graphene.String(default_value="")
        agreed_fee_cents = graphene.Int(
            default_value=0,
            description="What cancellationQuote said; where it costs more by now, canceling_costs and no more.",
        )

    order = graphene.Field(Order, required=True)

    @classmethod
    @on_db_thread
    def mutate_and_get_payload(cls, root, info, *, order_id, reason="", agreed_fee_cents=0, **_):
        customer = customer_id(info.context)
        order, agreed = ids.parse(order_id), Money(agreed_fee_cents)
        services.cancel(order_id=order, customer_id=customer, reason=reason, agreed=agreed, now=clock.now())
        return cls(order=selectors.order(order_id=order, customer_id=customer))


class RaiseTip(relay.ClientIDMutation):
    class Meta:
        description = "See to it that the whole tip is so much. Said twice, by two devices too, it is charged once."

    class Input:
        order_id = graphene.ID(required=True)
        tip_cents = graphene.Int(required=True, description="The whole tip, not what is added.")
        card_id = graphene.ID(description="Unsaid: the card the order was paid with.")

    status = graphene.String(required=True, description="charged, asked (look again), declined, or empty: it was so.")
    tip = graphene.Field(Tip)

    @classmethod
    @on_db_thread
    def mutate_and_get_payload(cls, root, info, *, order_id, tip_cents, card_id=None, **_):
        customer, now = customer_id(info.context), clock.now()
        order = ids.parse(order_id)
        currency = selectors.order(order_id=order, customer_id=customer).tip.currency
        status = services.raise_tip(
            order_id=order,
            customer_id=customer,
            to=Money(tip_cents, currency),
            card_id=None if card_id is None else ids.parse(card_id),
            now=now,
        )
        return cls(status=status, tip=selectors.tip(order_id=order, customer_id=customer, now=now))


class RescheduleOrder(relay.ClientIDMutation):
    class Meta:
        description = "Move an order to another window of its store. The card's hold has to cover the difference."

    class Input:
        order_id = graphene.ID(required=True)
        window_id = graphene.ID(required=True)

    order = graphene.Field(Order, required=True)

    @classmethod
    @on_db_thread
    def mutate_and_get_payload(cls, root, info, *, order_id, window_id, **_):
        customer = customer_id(info.context)
        order = ids.parse(order_id)
        services.reschedule(order_id=order, customer_id=customer, window_id=ids.parse(window_id), now=clock.now())
        return cls(order=selectors.order(order_id=order, customer_id=customer))


class AnswerReplacement(relay.ClientIDMutation):
    class Meta:
        description = "Yes or no to a replacement. A no means that the line is not paid for."

    class Input:
        order_id = graphene.ID(required=True)
        replacement_id = graphene.ID(required=True)
        approve = graphene.Boolean(required=True)

    order = graphene.Field(Order, required=True)

    @classmethod
    @on_db_thread
    def mutate_and_get_payload(cls, root, info, *, order_id, replacement_id, approve, **_):
        customer = customer_id(info.context)
        order = ids.parse(order_id)
        services.answer_replacement(
            order_id=order,
            customer_id=customer,
            replacement_id=ids.parse(replacement_id),
            approve=approve,
            now=clock.now(),
        )
        return cls(order=selectors.order(order_id=order, customer_id=customer))


class ChooseReplacement(relay.ClientIDMutation):
    class Meta:
        description = "Ask for another item of the store instead of a line; an open question about it is a no then."

    class Input:
        order_id = graphene.ID(required=True)
        line_id = graphene.ID(required=True)
        item_id = graphene.ID(required=True)

    order = graphene.Field(Order, required=True)

    @classmethod
    @on_db_thread
    def mutate_and_get_payload(cls, root, info, *, order_id, line_id, item_id, **_):
        customer = customer_id(info.context)
        order = ids.parse(order_id)
        services.choose_instead(
            order_id=order,
            customer_id=customer,
            line_id=ids.parse(line_id),
            item_id=ids.parse(item_id),
            now=clock.now(),
        )
        return cls(order=selectors.order(order_id=order, customer_id=customer))


class Query:
    orders = graphene.Field(OrderPage, required=True, after=graphene.String(), first=graphene.Int(default_value=20))
    order = graphene.Field(Order, required=True, id=graphene.ID(required=True))
    alternatives = graphene.List(
        graphene.NonNull(Alternative),
        required=True,
        order_id=graphene.ID(required=True),
        line_id=graphene.ID(required=True),
        description="What may be asked for instead of a line, in stock now; empty once it cannot be changed.",
    )
    order_preview = graphene.Field(
        OrderPreview,
        required=True,
        store_id=graphene.ID(required=True),
        window_id=graphene.ID(required=True),
        address_id=graphene.ID(required=True),
        tip_cents=graphene.Int(default_value=0),
        promotion_code=graphene.String(default_value=""),
    )

    @on_db_thread
    def resolve_order_preview(root, info, store_id, window_id, address_id, tip_cents=0, promotion_code=""):
        customer = customer_id(info.context)
        store = stores.store(store_id=ids.parse(store_id))
        _, address = accounts.recipient(customer_id=customer, address_id=ids.parse(address_id))
        return selectors.preview(
            customer_id=customer,
            cart=carts.cart(customer_id=customer, store_id=store.id),
            store=store,
            window=slots.window(store_id=store.id, window_id=ids.parse(window_id)),
            point=address.point,
            tip=Money(tip_cents, store.currency),
            promotion_code=promotion_code,
            now=clock.now(),
        )

    order_tip = graphene.Field(
        Tip, description="Null before the delivery is paid for.", order_id=graphene.ID(required=True)
    )
    cancellation_quote = graphene.Field(CancellationQuote, required=True, order_id=graphene.ID(required=True))

    @on_db_thread
    def resolve_order_tip(root, info, order_id):
        customer = customer_id(info.context)
        return selectors.tip(order_id=ids.parse(order_id), customer_id=customer, now=clock.now())

    @on_db_thread
    def resolve_cancellation_quote(root, info, order_id):
        return selectors.cancellation(order_id=ids.parse(order_id), customer_id=customer_id(info.context))

    @on_db_thread
    def resolve_alternatives(root, info, order_id, line_id):
        return selectors.alternatives(
            order_id=ids.parse(order_id), customer_id=customer_id(info.context), line_id=ids.parse(line_id)
        )

    @on_db_thread
    def resolve_orders(root, info, after=None, first=20):
        return selectors.orders(customer_id=customer_id(info.context), after=after, limit=first)

    @on_db_thread
    def resolve_order(root, info, id):
        return selectors.order(order_id=ids.parse(id), customer_id=customer_id(info.context))


class Mutation:
    place_order = PlaceOrder.Field()
    cancel_order = CancelOrder.Field()
    reschedule_order = RescheduleOrder.Field()
    answer_replacement = AnswerReplacement.Field()
    choose_replacement = ChooseReplacement.Field()
    raise_tip = RaiseTip.Field()
