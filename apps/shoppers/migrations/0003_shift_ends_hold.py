from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False  # a lock less for each row's check

    dependencies = [
        ('shoppers', '0002_shift_ends'),
    ]

    operations = [
        ValidateConstraint(model_name='shopper', name='shoppers_shopper_on_earth'),
        ValidateConstraint(model_name='shopper', name='shoppers_shopper_shift'),
    ]
