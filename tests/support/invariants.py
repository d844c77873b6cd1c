"""What must hold of ratings and reports once everything is quiet. Each broken promise is one line of text."""

from collections import Counter, defaultdict
from collections.abc import Iterator

import sharding
from apps.common.models import OutboxMessage, QuarantinedMessage
from apps.orders import models as orders
from apps.orders.domain import Phase
from apps.shoppers import models as shoppers
from apps.support import domain, models
from tests.orders.provider import Provider


def violations() -> list[str]:
    return [*_reports(), *_ratings()]


def _all(model) -> list:
    return [row for alias in sharding.aliases(model.sharding.keyspace) for row in model.objects.using(alias).all()]


def _reports() -> Iterator[str]:
    refunds = {(row.order_id, row.key): row for row in _all(orders.OrderRefund)}
    steps = defaultdict(list)
    for step in sorted(_all(models.IssueEvent), key=lambda step: step.sequence):
        steps[step.issue_id].append(step)
    claimed: Counter[int] = Counter()
    found = {line.pk: line.found_quantity for line in _all(orders.OrderLine)}
    for issue in _all(models.OrderIssue):
        refund = refunds.pop((issue.order_id, f"issue-{issue.pk}"), None)
        if (issue.status == domain.Status.RESOLVED_REFUND) != (refund is not None):
            yield f"{issue}: its refund is {refund}"
        if refund is not None and refund.amount_cents != issue.refund_cents:
            yield f"{issue}: {issue.refund_cents} cents decided, {refund.amount_cents} given back"
        history = steps.pop(issue.pk, [])
        if [step.sequence for step in history] != list(range(1, issue.sequence + 1)):
            yield f"{issue}: its history has gaps"
        elif history[-1].to_status != issue.status:
            yield f"{issue}: its history ends elsewhere"
        for step in history[1:]:
            if step.to_status not in domain.TRANSITIONS[domain.Status(step.from_status)]:
                yield f"{issue}: took a step that is none, {step}"
        if issue.line_id and issue.status in domain.STANDING:
            claimed[issue.line_id] += issue.refund_quantity or issue.quantity
    yield from (
        f"line {line}: {claimed[line]} reported, {found[line]} charged"
        for line in claimed
        if claimed[line] > (found[line] or 0)
    )
    yield from (f"{row}: no report says so" for (_, key), row in refunds.items() if key.startswith("issue-"))


def _ratings() -> Iterator[str]:
    there = {(row.shopper_id, row.order_id): row for row in _all(shoppers.Rating)}
    for row in _all(models.Rating):
        told = there.pop((row.shopper_id, row.order_id), None)
        if told is None or (told.stars, told.counts, told.version) != (row.stars, row.counts, row.version):
            yield f"{row}: its shopper knows of {told}"
    yield from (f"{row}: nobody gave it" for row in there.values())
    counted: Counter[int] = Counter(row.shopper_id for row in _all(shoppers.Rating) if row.counts)
    for row in _all(shoppers.Shopper):
        if row.ratings != min(counted[row.pk], 100):
            yield f"{row}: {row.ratings} ratings, {counted[row.pk]} count"


def integers(provider: Provider) -> str:
    """The six that stay 0, as far as reports can touch them."""
    decided = -sum(row.amount_cents for row in _all(orders.OrderAdjustment) if row.phase == Phase.REFUND)
    returned = sum(provider.returned_cents(intent) for intent in provider.intents)
    issues = _all(models.OrderIssue)
    refunds = Counter((row.order_id, row.key) for row in _all(orders.OrderRefund))
    values = {
        "reports lost": sum(not list(issue.events.all()) for issue in issues),
        "cents of difference": abs(decided - returned),
        "double refunds": sum(n - 1 for n in refunds.values()),
        "lines refunded above what was paid": sum("reported" in line for line in violations()),
        "double ratings": sum(n - 1 for n in Counter(row.order_id for row in _all(shoppers.Rating)).values()),
        "undrained messages": sum(
            model.objects.using(alias).count()
            for alias in sharding.all_aliases()
            for model in (OutboxMessage, QuarantinedMessage)
        ),
    }
    assert set(values.values()) == {0}, values
    return ", ".join(f"{value} {name}" for name, value in values.items())
