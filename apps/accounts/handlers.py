from apps.accounts import services
from apps.accounts.events import SignedUp
from apps.common import outbox


@outbox.on(SignedUp)
def bring_profile_to_its_shard(event: SignedUp, message_id: str) -> None:
    services.finish_sign_up(user_id=event.user_id)
