"""What a store says of itself. The whole ``Store`` type, with its shelves and windows, is put together in
``apps.slots.api.graphql``, the highest of the apps that add to it."""

import graphene


class Point(graphene.ObjectType):
    lat = graphene.Float(required=True)
    lng = graphene.Float(required=True)


class OpeningHours(graphene.ObjectType):
    weekday = graphene.Int(required=True, description="Monday is 0.")
    opens = graphene.String(required=True, description="Local time, HH:MM.")
    closes = graphene.String(required=True, description="Local time; at or before `opens` means on the next day.")

    def resolve_opens(hours, info):
        return f"{hours.opens:%H:%M}"

    def resolve_closes(hours, info):
        return f"{hours.closes:%H:%M}"


class SpecialDay(graphene.ObjectType):
    date = graphene.Date(required=True)
    opens = graphene.String(description="Local time, HH:MM; null for a day on which the store is closed.")
    closes = graphene.String(description="Local time; at or before `opens` means on the next day.")
    reason = graphene.String(required=True)

    def resolve_opens(day, info):
        return day.opens and f"{day.opens:%H:%M}"

    def resolve_closes(day, info):
        return day.closes and f"{day.closes:%H:%M}"


class StoreFields:
    """What the directory says of a store."""

    id = graphene.ID(required=True)
    code = graphene.String(required=True)
    name = graphene.String(required=True)
    retailer_name = graphene.String(required=True)
    address = graphene.String(required=True)
    city = graphene.String(required=True)
    state = graphene.String(required=True)
    postcode = graphene.String(required=True)
    point = graphene.Field(Point, required=True)
    timezone = graphene.String(required=True)
    currency = graphene.String(required=True)
    minimum_basket_cents = graphene.Int(required=True)
    is_paused = graphene.Boolean(required=True)
    paused_until = graphene.DateTime(description="When a pause ends by itself.")

    @staticmethod
    def resolve_minimum_basket_cents(store, info):
        return store.minimum_basket.cents
