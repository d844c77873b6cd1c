from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations, models

from sharding.operations import AddUnique


class Migration(migrations.Migration):
    atomic = False  # writers go on meanwhile

    dependencies = [
        ('shoppers', '0012_money_after_picking'),
    ]

    operations = [
        AddUnique(
            model_name='earning',
            constraint=models.UniqueConstraint(fields=('shopper', 'batch_id', 'order_id', 'kind', 'number'), name='shoppers_earning_numbered_once', nulls_distinct=False),
        ),
        ValidateConstraint(model_name='earning', name='shoppers_earning_known_kind'),
        ValidateConstraint(model_name='earning', name='shoppers_earning_sign'),
        migrations.RemoveConstraint(model_name='earning', name='shoppers_earning_once'),
    ]
