"""What letters say, in each language. Names in braces are filled in by the composer of that kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from apps.notifications import domain


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    subject: str
    paragraphs: tuple[str, ...]
    action: str
    """On the button that leads to the page."""
    name: str
    """What the account page calls letters of this kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    always_sent: str
    optional: str
    account: str


COMMON: Final[Mapping[str, Common]] = {
    "en": Common(
        always_sent="You get this because of your order. Letters about your money and your orders are always sent.",
        optional="You can switch letters like this one off in your account.",
        account="Your account",
    ),
    "es": Common(
        always_sent=(
            "Recibes este mensaje por tu pedido. Los mensajes sobre tu dinero y tus pedidos se envían siempre."
        ),
        optional="Puedes desactivar los mensajes como este en tu cuenta.",
        account="Tu cuenta",
    ),
}

_EN: Final[Mapping[str, Words]] = {
    domain.ORDER_PLACED: Words(
        name="Order placed",
        subject="We have your order from {store}",
        paragraphs=(
            "Thank you. {store} has your order; we bring it {window}.",
            (
                "The estimate is {total}. You pay for what is found and weighed, never more than the {hold} "
                "that your bank has set aside."
            ),
        ),
        action="See your order",
    ),
    domain.PAYMENT_WAITING: Words(
        name="Payment waiting",
        subject="Your order from {store} waits for the payment provider",
        paragraphs=(
            "The payment provider does not answer just now, so your order is not confirmed yet. Nothing was charged.",
            "You need not do anything. We keep trying until {deadline}, and write to you as soon as we know.",
        ),
        action="See your order",
    ),
    domain.ORDER_REJECTED: Words(
        name="Order not placed",
        subject="Your order from {store} could not be placed",
        paragraphs=("{why} What you chose is in your cart again.",),
        action="Go to your order",
    ),
    domain.ORDER_RESCHEDULED: Words(
        name="New delivery time",
        subject="New delivery time for your order from {store}",
        paragraphs=("We now bring your order {window}.", "The estimate is {total}."),
        action="See your order",
    ),
    domain.ORDER_CANCELED: Words(
        name="Order canceled",
        subject="Your order from {store} is canceled",
        paragraphs=("{why}", "Your card is not charged for it. Your bank may show the hold for some days."),
        action="See your order",
    ),
    domain.ORDER_ON_THE_WAY: Words(
        name="Your order is on its way",
        subject="Your order from {store} is on its way",
        paragraphs=("Your shopper has left {store}. Have your delivery PIN ready; it is on your order's page.",),
        action="Follow your order",
    ),
    domain.ORDER_DELIVERED: Words(
        name="Delivered, with the receipt",
        subject="Your receipt from {store}",
        paragraphs=("Your order was delivered {delivered}.", "{money}"),
        action="Open the receipt",
    ),
    domain.REFUND_MADE: Words(
        name="Refund made",
        subject="{amount} is on its way back to you",
        paragraphs=(
            "We gave {amount} of your order from {store} back to your card. Reason: {why}.",
            "Banks take up to ten days to show it.",
        ),
        action="Open the receipt",
    ),
}

_ES: Final[Mapping[str, Words]] = {
    domain.ORDER_PLACED: Words(
        name="Pedido recibido",
        subject="Tenemos tu pedido de {store}",
        paragraphs=(
            "Gracias. {store} tiene tu pedido; te lo llevamos {window}.",
            (
                "El total estimado es {total}. Pagas lo que se encuentra y se pesa, nunca más de los {hold} "
                "que tu banco ha reservado."
            ),
        ),
        action="Ver tu pedido",
    ),
    domain.PAYMENT_WAITING: Words(
        name="Pago pendiente",
        subject="Tu pedido de {store} espera al proveedor de pagos",
        paragraphs=(
            (
                "El proveedor de pagos no responde en este momento, así que tu pedido aún no está confirmado. "
                "No se te ha cobrado nada."
            ),
            "No tienes que hacer nada. Seguimos intentándolo hasta {deadline} y te avisamos en cuanto lo sepamos.",
        ),
        action="Ver tu pedido",
    ),
    domain.ORDER_REJECTED: Words(
        name="Pedido no realizado",
        subject="Tu pedido de {store} no se pudo realizar",
        paragraphs=("{why} Lo que elegiste está otra vez en tu carrito.",),
        action="Ir a tu pedido",
    ),
    domain.ORDER_RESCHEDULED: Words(
        name="Nueva hora de entrega",
        subject="Nueva hora de entrega para tu pedido de {store}",
        paragraphs=("Ahora te llevamos el pedido {window}.", "El total estimado es {total}."),
        action="Ver tu pedido",
    ),
    domain.ORDER_CANCELED: Words(
        name="Pedido cancelado",
        subject="Tu pedido de {store} está cancelado",
        paragraphs=(
            "{why}",
            "No se cobra nada en tu tarjeta. Tu banco puede mostrar la reserva durante unos días.",
        ),
        action="Ver tu pedido",
    ),
    domain.ORDER_ON_THE_WAY: Words(
        name="Tu pedido está en camino",
        subject="Tu pedido de {store} está en camino",
        paragraphs=("Tu comprador ha salido de {store}. Ten a mano tu PIN de entrega; está en la página del pedido.",),
        action="Seguir tu pedido",
    ),
    domain.ORDER_DELIVERED: Words(
        name="Entregado, con el recibo",
        subject="Tu recibo de {store}",
        paragraphs=("Tu pedido se entregó {delivered}.", "{money}"),
        action="Abrir el recibo",
    ),
    domain.REFUND_MADE: Words(
        name="Reembolso hecho",
        subject="{amount} vuelven a tu tarjeta",
        paragraphs=(
            "Te hemos devuelto {amount} de tu pedido de {store} a tu tarjeta. Motivo: {why}.",
            "Los bancos tardan hasta diez días en mostrarlo.",
        ),
        action="Abrir el recibo",
    ),
}

WORDS: Final[Mapping[str, Mapping[str, Words]]] = {"en": _EN, "es": _ES}


def why(kind: str, language: str) -> str:
    """The line at the foot that says why somebody gets this letter, and whether they may stop it."""
    common = COMMON[language]
    return common.optional if domain.KINDS[kind].is_optional else common.always_sent
