from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('dispatch', '0006_peak_pay'),
    ]

    operations = [
        ValidateConstraint(model_name='batch', name='dispatch_batch_peak'),
    ]
