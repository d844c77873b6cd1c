"""GraphQL types of replacements. They only translate: the fields are those of ``orders.types``."""

import graphene

from apps.orders.api.receipt_types import cents


class Replacement(graphene.ObjectType):
    class Meta:
        description = "Something else proposed for a line: a question as long as it is proposed, then its answer."

    id = graphene.ID(required=True)
    line_id = graphene.ID(required=True)
    status = graphene.String(
        required=True, description="proposed, approved, auto_approved (by your earlier word), rejected or withdrawn"
    )
    item_id = graphene.ID(description="Null for something that the store's catalogue does not know.")
    name = graphene.String(required=True)
    code = graphene.String(required=True)
    quantity = graphene.Decimal(required=True)
    cost_unit = graphene.String(required=True)
    unit_price_cents = graphene.Int(required=True)
    shown_cents = graphene.Int(required=True, description="Price and deposit; the most an approval costs, before tax.")
    ordered_cents = graphene.Int(required=True, description="What the line would have cost, reckoned alike.")
    charged_cents = graphene.Int(description="What it costs; null unless it was accepted.")
    asked_at = graphene.DateTime(required=True)
    answer_by = graphene.DateTime(required=True, description="After that, what was said when ordering counts.")
    answered_at = graphene.DateTime()

    resolve_unit_price_cents = cents("unit_price")
    resolve_shown_cents = cents("shown")
    resolve_ordered_cents = cents("ordered")
    resolve_charged_cents = cents("charged")


class Alternative(graphene.ObjectType):
    class Meta:
        description = "An item in stock that may be asked for instead of a line."

    item_id = graphene.ID(required=True)
    name = graphene.String(required=True)
    size = graphene.String(required=True)
    quantity = graphene.Decimal(required=True)
    cost_unit = graphene.String(required=True)
    cost_cents = graphene.Int(required=True, description="All of it with its deposit, before tax.")

    resolve_cost_cents = cents("cost")

    def resolve_item_id(parent, info):
        return parent.item.id

    def resolve_name(parent, info):
        return parent.item.name

    def resolve_size(parent, info):
        return parent.item.size

    def resolve_cost_unit(parent, info):
        return parent.item.cost_unit
