from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from typing_extensions import override

from apps.payments.errors import ProviderUnavailable
from apps.payments.fake import FakeGateway
from apps.payments.gateway import Intent

T = TypeVar("T")


@dataclass
class Provider(FakeGateway):
    """The payments app's fake provider, which can also be out of reach for a while."""

    is_down: bool = False
    declines_from_now: bool = False

    def intents_of(self, order_id: int) -> list[Intent]:
        return [i for i in self.intents.values() if i.reference is not None and i.reference.order_id == order_id]

    @override
    def authorise(self, *, card: str, **named: Any) -> Intent:
        return super().authorise(card="pm_card_chargeCustomerFail" if self.declines_from_now else card, **named)

    @override
    def _once(self, method: str, key: str, work: Callable[[], T]) -> T:
        if self.is_down:
            raise ProviderUnavailable
        return super()._once(method, key, work)
