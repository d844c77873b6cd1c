from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False  # writers go on meanwhile

    dependencies = [
        ('orders', '0010_money_after_picking'),
    ]

    operations = [
        ValidateConstraint(model_name='order', name='orders_order_captured_within_held'),
        ValidateConstraint(model_name='order', name='orders_order_overage'),
        ValidateConstraint(model_name='orderrefund', name='orders_refund_reason'),
    ]
