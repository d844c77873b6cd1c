from collections.abc import Collection

import sharding
from apps.notifications import domain, models


@sharding.repeatable
def set_muted(*, customer_id: int, kinds: Collection[str]) -> None:
    """Switch off exactly these kinds of letters, the others on. Raises ``KindUnknown`` and ``MustBeTold``."""
    wanted = {domain.checked_optional(kind) for kind in kinds}
    with sharding.atomic(sharding.home("customer", customer_id)):
        models.Mute.objects.filter(customer_id=customer_id).exclude(kind__in=wanted).delete()
        for kind in sorted(wanted):
            models.Mute.objects.get_or_create(customer_id=customer_id, kind=kind)


def lift_refusal(*, customer_id: int) -> bool:
    """Write to the customer's address again, after a person has seen to it; False where nothing was against it."""
    return bool(models.RefusedAddress.objects.filter(pk=customer_id).delete()[0])
