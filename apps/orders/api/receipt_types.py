"""GraphQL types of a receipt. They only translate: the fields are those of ``orders.types.Receipt``."""

import graphene


def cents(attribute):
    """A resolver for ``…Cents`` fields: the parent's Money in whole cents."""

    def resolve(parent, info):
        amount = getattr(parent, attribute)
        return None if amount is None else amount.cents

    return resolve


class ReceiptLine(graphene.ObjectType):
    line_id = graphene.ID(required=True)
    name = graphene.String(required=True)
    ordered = graphene.Decimal(required=True)
    delivered = graphene.Decimal(required=True)
    cost_unit = graphene.String(required=True)
    unit_price_cents = graphene.Int(required=True, description="On the shelf; a sale is a charge of its own.")
    amount_cents = graphene.Int(required=True)
    outcome = graphene.String(required=True, description="found, short, refunded, replaced.")
    reason = graphene.String(required=True)

    resolve_unit_price_cents = cents("unit_price")
    resolve_amount_cents = cents("amount")


class ReceiptCharge(graphene.ObjectType):
    kind = graphene.String(required=True)
    code = graphene.String(required=True, description="The stage of the pricing, such as sale, small_basket, surge.")
    label = graphene.String(required=True)
    amount_cents = graphene.Int(required=True)
    percent = graphene.Decimal(description="Of a tax: its rate.")
    base_cents = graphene.Int(description="What it is a percentage of.")
    reason = graphene.String(required=True)

    resolve_amount_cents = cents("amount")
    resolve_base_cents = cents("base")


class ReceiptPayment(graphene.ObjectType):
    step = graphene.String(required=True)
    status = graphene.String(required=True)
    brand = graphene.String(required=True)
    last4 = graphene.String(required=True)
    authorised_cents = graphene.Int(required=True)
    captured_cents = graphene.Int(required=True)
    refunded_cents = graphene.Int(required=True)

    resolve_authorised_cents = cents("authorised")
    resolve_captured_cents = cents("captured")
    resolve_refunded_cents = cents("refunded")


class ReceiptRefund(graphene.ObjectType):
    number = graphene.Int(required=True)
    amount_cents = graphene.Int(required=True)
    reason = graphene.String(required=True)
    status = graphene.String(required=True)
    requested_at = graphene.DateTime(required=True)

    resolve_amount_cents = cents("amount")


class Receipt(graphene.ObjectType):
    class Meta:
        description = "What was delivered and paid: lines and charges come to the total."

    lines = graphene.List(graphene.NonNull(ReceiptLine), required=True)
    charges = graphene.List(graphene.NonNull(ReceiptCharge), required=True)
    total_cents = graphene.Int(required=True)
    payments = graphene.List(graphene.NonNull(ReceiptPayment), required=True)
    captured_cents = graphene.Int(required=True)
    outstanding_cents = graphene.Int(required=True, description="Of the total, what is still to be charged.")
    refunds = graphene.List(graphene.NonNull(ReceiptRefund), required=True)
    refunded_cents = graphene.Int(required=True, description="Decided to be given back; failed refunds are not in it.")

    resolve_total_cents = cents("total")
    resolve_captured_cents = cents("captured")
    resolve_outstanding_cents = cents("outstanding")
    resolve_refunded_cents = cents("refunded")
