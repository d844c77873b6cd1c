from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False  # writers go on meanwhile

    dependencies = [
        ('catalog', '0002_prices'),
    ]

    operations = [
        ValidateConstraint(model_name='item', name='catalog_item_sale_is_cheaper'),
        ValidateConstraint(model_name='item', name='catalog_item_sale_ends_after_it_starts'),
    ]
