import graphene
from graphene import relay

from apps.common import clock, photos
from apps.common.api import ids, uploads
from apps.common.api.actor import customer_id
from apps.common.api.graphql import on_db_thread
from apps.orders import selectors as orders
from apps.support import domain, selectors, services

MULTIPART = (
    "Photos go along as files named `photos`: send the request as multipart/form-data with the fields `query` and "
    f"`variables` (JSON), and at most {domain.RULES.most_photos} JPEG or PNG files, "
    f"{photos.MAX_BYTES // 2**20} MB each."
)


class Rating(graphene.ObjectType):
    order_id = graphene.ID(required=True)
    stars = graphene.Int(required=True)
    tags = graphene.List(graphene.NonNull(graphene.String), required=True)
    words = graphene.String(required=True)
    rated_at = graphene.DateTime(required=True)
    changed_at = graphene.DateTime(required=True)


class IssueStep(graphene.ObjectType):
    to_status = graphene.String(required=True)
    at = graphene.DateTime(required=True)


class Issue(graphene.ObjectType):
    class Meta:
        description = "A report of what was wrong with an order, or with one of its lines."

    id = graphene.ID(required=True)
    order_id = graphene.ID(required=True)
    line_id = graphene.ID(description="Null where it is about the whole order.")
    line_name = graphene.String(required=True)
    kind = graphene.String(required=True, description=", ".join(domain.Kind))
    kind_title = graphene.String(required=True)
    quantity = graphene.Decimal()
    words = graphene.String(required=True)
    status = graphene.String(required=True, description=", ".join(domain.Status))
    status_title = graphene.String(required=True)
    reason_title = graphene.String(required=True, description="Why it was decided so; empty while it is open.")
    refunded_cents = graphene.Int(description="Decided to be given back to the card.")
    photos = graphene.List(graphene.NonNull(graphene.String), required=True, description="Paths, for the signed in.")
    opened_at = graphene.DateTime(required=True)
    decided_at = graphene.DateTime()
    history = graphene.List(graphene.NonNull(IssueStep), required=True)

    def resolve_refunded_cents(issue, info):
        return None if issue.refunded is None else issue.refunded.cents

    def resolve_photos(issue, info):
        return [f"/orders/{issue.order_id}/reports/{issue.id}/photos/{n}/" for n in range(1, issue.photos + 1)]


class IssuePage(graphene.ObjectType):
    nodes = graphene.List(graphene.NonNull(Issue), required=True)
    next_cursor = graphene.String(description="Pass it as `after` for the next page; null on the last.")

    def resolve_nodes(page, info):
        return page.issues


class ReportableLine(graphene.ObjectType):
    id = graphene.ID(required=True)
    name = graphene.String(required=True)
    found = graphene.Decimal(required=True, description="What was charged.")
    left = graphene.Decimal(required=True, description="Of that, what no report is about yet.")
    cost_unit = graphene.String(required=True)


class AfterDelivery(graphene.ObjectType):
    class Meta:
        description = "What may still be said of an order, and was said. The times are null before its delivery."

    rating = graphene.Field(Rating)
    rate_until = graphene.DateTime()
    report_until = graphene.DateTime()
    issues = graphene.List(graphene.NonNull(Issue), required=True)
    lines = graphene.List(graphene.NonNull(ReportableLine), required=True)


class RateOrder(relay.ClientIDMutation):
    class Meta:
        description = "Rate a delivery, or change that. Sending it again changes nothing."

    class Input:
        order_id = graphene.ID(required=True)
        stars = graphene.Int(required=True, description="1 to 5")
        tags = graphene.List(graphene.NonNull(graphene.String), description=", ".join(domain.Tag))
        words = graphene.String(default_value="")

    rating = graphene.Field(Rating, required=True)

    @classmethod
    @on_db_thread
    def mutate_and_get_payload(cls, root, info, *, order_id, stars, tags=(), words="", **_):
        made = services.rate(
            order_id=ids.parse(order_id),
            customer_id=customer_id(info.context),
            stars=stars,
            tags=tags or (),
            words=words,
            now=clock.now(),
        )
        return cls(rating=made)


class ReportIssue(relay.ClientIDMutation):
    class Meta:
        description = f"Report what was wrong with a delivered order. {MULTIPART}"

    class Input:
        order_id = graphene.ID(required=True)
        line_id = graphene.ID(description="Needed for all kinds but late and other.")
        kind = graphene.String(required=True, description=", ".join(domain.Kind))
        quantity = graphene.Decimal(description="Of the line; all of it unless said.")
        words = graphene.String(default_value="")
        idempotency_key = graphene.String(required=True)

    issue = graphene.Field(Issue, required=True)

    @classmethod
    @on_db_thread
    def mutate_and_get_payload(
        cls, root, info, *, order_id, kind, idempotency_key, line_id=None, quantity=None, words="", **_
    ):
        made = services.report(
            order_id=ids.parse(order_id),
            customer_id=customer_id(info.context),
            line_id=None if line_id is None else ids.parse(line_id),
            kind=kind,
            quantity=quantity,
            words=words,
            pictures=uploads.pictures(info.context, most=domain.RULES.most_photos),
            key=idempotency_key,
            now=clock.now(),
        )
        return cls(issue=made)


class WithdrawIssue(relay.ClientIDMutation):
    class Input:
        issue_id = graphene.ID(required=True)

    issue = graphene.Field(Issue, required=True)

    @classmethod
    @on_db_thread
    def mutate_and_get_payload(cls, root, info, *, issue_id, **_):
        customer = customer_id(info.context)
        return cls(issue=services.withdraw(issue_id=ids.parse(issue_id), customer_id=customer, now=clock.now()))


class Query:
    after_delivery = graphene.Field(AfterDelivery, required=True, order_id=graphene.ID(required=True))
    issues = graphene.Field(
        IssuePage,
        required=True,
        after=graphene.String(),
        first=graphene.Int(default_value=20),
        description="Everything the customer reported, newest first.",
    )

    @on_db_thread
    def resolve_after_delivery(root, info, order_id):
        order = orders.order(order_id=ids.parse(order_id), customer_id=customer_id(info.context))
        return selectors.after_delivery(order=order)

    @on_db_thread
    def resolve_issues(root, info, after=None, first=20):
        return selectors.issues(customer_id=customer_id(info.context), after=after, limit=first)


class Mutation:
    rate_order = RateOrder.Field()
    report_issue = ReportIssue.Field()
    withdraw_issue = WithdrawIssue.Field()
