from apps.common import clock, outbox
from apps.payments import services
from apps.payments.events import StripeEventReceived


@outbox.on(StripeEventReceived)
def act_on_what_the_provider_says(event: StripeEventReceived, message_id: str) -> None:
    services.handle_event(event_id=event.event_id, now=clock.now())
