from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False  # writers go on meanwhile

    dependencies = [
        ('fulfilment', '0008_replacements'),
    ]

    operations = [
        ValidateConstraint(model_name='pickline', name='fulfilment_line_status'),
        ValidateConstraint(model_name='pickline', name='fulfilment_line_replaced_by_something'),
    ]
