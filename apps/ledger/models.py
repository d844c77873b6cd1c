"""Each row moves an amount from one account to another, so a row that does not balance cannot be written."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from typing_extensions import override

from apps.ledger.types import Account, Cause
from sharding import ShardAutoField, ShardedModel, ShardKey, ShardRef


class LedgerEntry(ShardedModel):
    """``amount_cents`` from ``credit`` to ``debit``. Rows are only ever added: a trigger refuses all else."""

    id = ShardAutoField(primary_key=True)
    customer_id = models.BigIntegerField()
    order_id = ShardRef("orders.Order")
    store_id = ShardRef("stores.Store", null=True)
    cause = models.CharField(max_length=20, choices=[(cause.value, cause.value) for cause in Cause])
    step = models.CharField(max_length=20)
    version = models.PositiveIntegerField()
    kind = models.CharField(max_length=20)
    debit = models.CharField(max_length=20, choices=[(account.value, account.value) for account in Account])
    credit = models.CharField(max_length=20, choices=[(account.value, account.value) for account in Account])
    amount_cents = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    at = models.DateTimeField()

    sharding: ClassVar = ShardKey("customer", field="customer_id")
    decides_money_or_stock = True

    class Meta:
        verbose_name_plural = "ledger entries"
        constraints = [
            models.UniqueConstraint(
                fields=["customer_id", "order_id", "cause", "step", "version", "kind", "debit", "credit"],
                name="ledger_once_per_step",
            ),
            models.CheckConstraint(condition=Q(amount_cents__gt=0), name="ledger_amount_positive"),
            models.CheckConstraint(condition=~Q(debit=F("credit")), name="ledger_two_accounts"),
            models.CheckConstraint(
                condition=Q(debit__in=[account.value for account in Account])
                & Q(credit__in=[account.value for account in Account]),
                name="ledger_account_known",
            ),
            models.CheckConstraint(
                condition=~(Q(debit="store_payable") | Q(credit="store_payable")) | Q(store_id__isnull=False),
                name="ledger_store_named",
            ),
        ]
        indexes = [
            models.Index(fields=["order_id"], name="ledger_of_order"),
            models.Index(fields=["store_id", "at"], condition=Q(store_id__isnull=False), name="ledger_of_store"),
        ]

    @override
    def __str__(self) -> str:
        return f"{self.cause} {self.kind}: {self.amount_cents} from {self.credit} to {self.debit}"


class PartyEntry(models.Model):
    """The same about those who are paid, stores and shoppers: global, because what is sent sums up many orders.

    Rows are only ever added: a trigger refuses all else.
    """

    party_kind = models.CharField(max_length=10)
    party_id = models.BigIntegerField()
    transfer_id = models.BigIntegerField()
    cause = models.CharField(max_length=20, choices=[(cause.value, cause.value) for cause in Cause])
    version = models.PositiveIntegerField()
    debit = models.CharField(max_length=20, choices=[(account.value, account.value) for account in Account])
    credit = models.CharField(max_length=20, choices=[(account.value, account.value) for account in Account])
    amount_cents = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "party entries"
        constraints = [
            models.UniqueConstraint(fields=["transfer_id", "cause", "version"], name="ledger_party_once_per_step"),
            models.CheckConstraint(condition=Q(party_kind__in=["store", "shopper"]), name="ledger_party_kind"),
            models.CheckConstraint(condition=Q(amount_cents__gt=0), name="ledger_party_amount_positive"),
            models.CheckConstraint(condition=~Q(debit=F("credit")), name="ledger_party_two_accounts"),
        ]
        indexes = [models.Index(fields=["party_kind", "party_id", "at"], name="ledger_of_party")]

    @override
    def __str__(self) -> str:
        return f"{self.cause}: {self.amount_cents} from {self.credit} to {self.debit}"
