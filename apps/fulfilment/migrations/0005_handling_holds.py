from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('fulfilment', '0004_handling'),
    ]

    operations = [
        ValidateConstraint(model_name='storeorder', name='fulfilment_order_weighs'),
    ]
