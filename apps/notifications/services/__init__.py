"""The one place that sends. Who has something to tell calls ``notify`` and has registered a ``composer`` for it."""

from apps.notifications.services.composing import Composer, composer
from apps.notifications.services.preferring import lift_refusal, set_muted
from apps.notifications.services.queueing import notify
from apps.notifications.services.sending import send_due

__all__ = ["Composer", "composer", "lift_refusal", "notify", "send_due", "set_muted"]
