from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('shoppers', '0007_peak_pay'),
    ]

    operations = [
        ValidateConstraint(model_name='earning', name='shoppers_earning_kind_order'),
    ]
