import graphene
from django.conf import settings
from graphene import relay

from apps.common import clock
from apps.common.api.actor import customer_id
from apps.common.api.graphql import on_db_thread
from apps.payments import selectors, services


class Card(graphene.ObjectType):
    class Meta:
        description = "A saved card, as a receipt shows it."

    id = graphene.ID(required=True)
    brand = graphene.String(required=True)
    last4 = graphene.String(required=True)
    exp_month = graphene.Int(required=True)
    exp_year = graphene.Int(required=True)


class PaymentSettings(graphene.ObjectType):
    class Meta:
        description = "What an app needs to turn a card into a payment method at the provider's, past us."

    publishable_key = graphene.String(required=True)
    api_base = graphene.String(required=True)


class AddCard(relay.ClientIDMutation):
    class Input:
        payment_method = graphene.String(required=True, description="The provider's id, pm_…; never a card number.")

    card = graphene.Field(Card, required=True)

    @classmethod
    @on_db_thread
    def mutate_and_get_payload(cls, root, info, *, payment_method, client_mutation_id=None):
        customer = customer_id(info.context)
        added = services.add_card(customer_id=customer, payment_method=payment_method, now=clock.now())
        return cls(card=selectors.card(customer_id=customer, card_id=added))


class Query:
    cards = graphene.List(graphene.NonNull(Card), required=True)
    payment_settings = graphene.Field(PaymentSettings, required=True)

    @on_db_thread
    def resolve_cards(root, info):
        return selectors.cards(customer_id=customer_id(info.context))

    def resolve_payment_settings(root, info):
        return PaymentSettings(
            publishable_key=settings.STRIPE_PUBLISHABLE_KEY,
            api_base=settings.STRIPE_API_BASE or "https://api.stripe.com",
        )


class Mutation:
    add_card = AddCard.Field()
