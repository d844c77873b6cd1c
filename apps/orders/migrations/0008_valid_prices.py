from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False  # writers go on meanwhile

    dependencies = [
        ('orders', '0007_wishes'),
    ]

    operations = [
        ValidateConstraint(model_name='order', name='orders_order_surge_is_capped'),
        ValidateConstraint(model_name='orderadjustment', name='orders_discount_lessens'),
        ValidateConstraint(model_name='orderadjustment', name='orders_surge_is_capped'),
        ValidateConstraint(model_name='orderline', name='orders_line_sale_is_cheaper'),
    ]
