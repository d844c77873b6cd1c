"""Delivery windows, and the ``Store`` type as a whole: this is the highest app that adds to it."""

import graphene

from apps.catalog.api import graphql as catalog
from apps.common.api import ids
from apps.common.api.graphql import on_db_thread
from apps.common.errors import Invalid
from apps.common.geo import Point
from apps.slots import selectors
from apps.slots.api import loaders
from apps.stores import selectors as stores
from apps.stores.api import graphql as stores_api


class DeliveryWindow(graphene.ObjectType):
    id = graphene.ID(required=True)
    starts_at = graphene.DateTime(required=True)
    ends_at = graphene.DateTime(required=True)
    kind = graphene.String(required=True, description="immediate, priority or scheduled.")
    fee_cents = graphene.Int(required=True)
    cutoff_at = graphene.DateTime(required=True, description="From then on it takes no orders.")

    def resolve_fee_cents(window, info):
        return window.fee.cents


class Store(stores_api.StoreFields, catalog.StoreFields, graphene.ObjectType):
    """A store, what it sells, and when it delivers."""

    hours = graphene.List(graphene.NonNull(stores_api.OpeningHours), required=True)
    special_days = graphene.List(
        graphene.NonNull(stores_api.SpecialDay),
        required=True,
        description="Dates to come on which other hours count than the weekday's.",
    )
    windows = graphene.List(
        graphene.NonNull(DeliveryWindow),
        required=True,
        lines=graphene.Int(default_value=1, description="Size of the order that has to fit."),
        lat=graphene.Float(description="With lng, the door it goes to: a long drive takes the shoppers' time."),
        lng=graphene.Float(),
        description="Windows that still take an order; without a place, one that goes as far as the store delivers.",
    )

    async def resolve_hours(store, info):
        return await loaders.hours(info).load(store.id) or ()

    async def resolve_special_days(store, info):
        return await loaders.special_days(info).load(store.id) or ()

    async def resolve_windows(store, info, lines=1, lat=None, lng=None):
        wanted = max(1, min(lines, 1000))
        door = None if lat is None and lng is None else _point(lat, lng)
        minutes = selectors.minutes_needed(lines=wanted, units=wanted, store=store, door=door)
        return await loaders.windows(info).load((store.id, minutes))


def _point(lat, lng):
    try:
        return Point(lat, lng)
    except (TypeError, ValueError) as error:
        raise Invalid("This is not a place on Earth: send both lat and lng, in degrees.") from error


class Query:
    stores = graphene.List(
        graphene.NonNull(Store),
        required=True,
        lat=graphene.Float(),
        lng=graphene.Float(),
        description="Stores that deliver to this place, nearest first; every store when no place is given.",
    )
    store = graphene.Field(Store, id=graphene.ID(required=True))

    @on_db_thread
    def resolve_stores(root, info, lat=None, lng=None):
        if lat is None and lng is None:
            return stores.every_store()
        return stores.stores_delivering_to(point=_point(lat, lng))

    @on_db_thread
    def resolve_store(root, info, id):
        return stores.store(store_id=ids.parse(id))


class Mutation:
    """Windows are chosen by placing an order."""
