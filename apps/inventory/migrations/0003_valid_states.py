from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False  # writers go on meanwhile

    dependencies = [
        ('inventory', '0002_found'),
    ]

    operations = [
        ValidateConstraint(model_name='reservation', name='inventory_reservation_state'),
    ]
