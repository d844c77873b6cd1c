from django.contrib.postgres.operations import AddConstraintNotValid, AddIndexConcurrently, ValidateConstraint
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("orders", "release_columns")]

    operations = [
        AddIndexConcurrently("order", models.Index(fields=["store_id", "placed_at"], name="orders_order_of_store")),
        AddConstraintNotValid(
            "order", models.CheckConstraint(condition=models.Q(priority__gte=0), name="orders_order_priority")
        ),
        ValidateConstraint("order", "orders_order_priority"),
    ]
