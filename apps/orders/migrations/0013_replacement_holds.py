from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False  # writers go on meanwhile

    dependencies = [
        ('orders', '0012_replacements'),
    ]

    operations = [
        ValidateConstraint(model_name='orderline', name='orders_line_replaced_by_something'),
    ]
