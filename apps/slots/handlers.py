from datetime import timedelta

from apps.common import clock, outbox
from apps.slots import domain, services
from apps.stores.events import HoursChanged


@outbox.on(HoursChanged)
def let_windows_follow(event: HoursChanged, message_id: str) -> None:
    now = clock.now()
    services.follow_hours(store_id=event.store_id, now=now)
    services.open_windows(
        store_id=event.store_id, first_day=now.date() - timedelta(days=1), days=domain.DAYS_AHEAD + 2, now=now
    )
