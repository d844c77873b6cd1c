from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False  # writers go on meanwhile

    dependencies = [
        ('pricing', '0003_promotions'),
    ]

    operations = [
        ValidateConstraint(model_name='feerule', name='pricing_fee_amounts_not_negative'),
        ValidateConstraint(model_name='feerule', name='pricing_fee_code_is_free'),
    ]
