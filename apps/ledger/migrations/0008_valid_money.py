from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False  # writers go on meanwhile

    dependencies = [
        ('ledger', '0007_money_after_picking'),
    ]

    operations = [
        ValidateConstraint(model_name='ledgerentry', name='ledger_account_known'),
    ]
