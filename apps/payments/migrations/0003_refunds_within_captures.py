from django.contrib.postgres.operations import AddConstraintNotValid, ValidateConstraint
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("payments", "0002_refunds")]

    operations = [
        AddConstraintNotValid(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    captured_cents__gte=models.F("refunded_cents") + models.F("refunding_cents"),
                    refunding_cents__gte=0,
                ),
                name="payments_asked_back_at_most_captured",
            ),
        ),
        ValidateConstraint(model_name="payment", name="payments_asked_back_at_most_captured"),
    ]
