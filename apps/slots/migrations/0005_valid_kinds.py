from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False  # writers go on meanwhile

    dependencies = [
        ('slots', '0004_rescheduling'),
    ]

    operations = [
        ValidateConstraint(model_name='deliverywindow', name='slots_window_kind'),
    ]
