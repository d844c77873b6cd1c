"""The GraphQL schema for customers' apps: every app's fields, gathered."""

import graphene

from apps.accounts.api import graphql as accounts
from apps.carts.api import graphql as carts
from apps.fulfilment.api import graphql as fulfilment
from apps.orders.api import graphql as orders
from apps.payments.api import graphql as payments
from apps.slots.api import graphql as slots
from apps.support.api import graphql as support


class Query(accounts.Query, slots.Query, carts.Query, payments.Query, orders.Query, support.Query, graphene.ObjectType):
    pass


class Mutation(
    accounts.Mutation,
    carts.Mutation,
    payments.Mutation,
    orders.Mutation,
    fulfilment.Mutation,
    support.Mutation,
    graphene.ObjectType,
):
    pass


schema = graphene.Schema(query=Query, mutation=Mutation)
