"""What the payment provider says, whichever it is."""

from dataclasses import dataclass

from apps.payments import gateway


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A payment as the provider knows it; ``order_id`` is None where it names none."""

    order_id: int | None
    step: str
    status: str
    """One of ``gateway.IntentStatus``."""
    amount_cents: int
    received_cents: int
    refunded_cents: int = 0


def at_provider() -> list[Intent]:
    """Everything the provider holds of us. A call for every 100 payments; raises ``ProviderUnavailable``."""
    found: list[Intent] = []
    after = ""
    while page := gateway.current().summaries(after=after):
        after = page[-1].intent.id
        for one in page:
            reference = one.intent.reference
            found.append(
                Intent(
                    order_id=reference.order_id if reference else None,
                    step=reference.step if reference else "",
                    status=one.intent.status,
                    amount_cents=one.amount_cents,
                    received_cents=one.intent.received_cents,
                    refunded_cents=one.returned_cents,
                )
            )
    return found
