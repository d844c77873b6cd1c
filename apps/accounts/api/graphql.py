import graphene
from graphene import relay

from apps.accounts import selectors, services
from apps.accounts.types import AddressInput
from apps.common import clock
from apps.common.api import actor
from apps.common.api.graphql import on_db_thread


class Address(graphene.ObjectType):
    class Meta:
        description = "Where a customer wants things brought."

    id = graphene.ID(required=True)
    label = graphene.String(required=True)
    line1 = graphene.String(required=True)
    line2 = graphene.String(required=True)
    city = graphene.String(required=True)
    state = graphene.String(required=True)
    postcode = graphene.String(required=True)
    lat = graphene.Float(required=True)
    lng = graphene.Float(required=True)
    instructions = graphene.String(required=True)

    def resolve_lat(address, info):
        return address.point.lat

    def resolve_lng(address, info):
        return address.point.lng


class Customer(graphene.ObjectType):
    class Meta:
        description = "Whoever is signed in."

    id = graphene.ID(required=True)
    name = graphene.String(required=True)
    email = graphene.String(required=True)
    addresses = graphene.List(graphene.NonNull(Address), required=True)


class SignUp(relay.ClientIDMutation):
    class Meta:
        description = "Open an account. Sign in with it afterwards: on the page, or through OAuth."

    class Input:
        email = graphene.String(required=True)
        password = graphene.String(required=True)
        name = graphene.String(required=True)

    user_id = graphene.ID(required=True)

    @classmethod
    @on_db_thread
    def mutate_and_get_payload(cls, root, info, *, email, password, name, **_):
        return cls(user_id=services.sign_up(email=email, password=password, name=name, now=clock.now()))


class AddAddress(relay.ClientIDMutation):
    class Input:
        line1 = graphene.String(required=True)
        line2 = graphene.String()
        city = graphene.String(required=True)
        state = graphene.String(required=True, description="Two letters, such as OH.")
        postcode = graphene.String(required=True)
        lat = graphene.Float(required=True)
        lng = graphene.Float(required=True)
        label = graphene.String()
        instructions = graphene.String()

    address = graphene.Field(Address, required=True)

    @classmethod
    @on_db_thread
    def mutate_and_get_payload(cls, root, info, *, client_mutation_id=None, **typed):
        customer_id = actor.customer_id(info.context)
        given = {field: value for field, value in typed.items() if value is not None}
        address_id = services.add_address(customer_id=customer_id, address=AddressInput(**given), now=clock.now())
        return cls(address=selectors.address(customer_id=customer_id, address_id=address_id))


class Query:
    me = graphene.Field(Customer, description="Null when nobody is signed in.")

    @on_db_thread
    def resolve_me(root, info):
        if not info.context.user.is_authenticated:
            return None
        customer_id = actor.customer_id(info.context)
        profile = selectors.profile(customer_id=customer_id)
        return Customer(
            id=customer_id,
            name=profile.name,
            email=profile.email,
            addresses=selectors.addresses(customer_id=customer_id),
        )


class Mutation:
    sign_up = SignUp.Field()
    add_address = AddAddress.Field()
