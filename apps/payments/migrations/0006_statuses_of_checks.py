from django.contrib.postgres.operations import AddConstraintNotValid, ValidateConstraint
from django.db import migrations, models

STATUSES = [
    *("checking", "checked", "authorising", "requires_action", "authorised", "declined"),
    *("capturing", "captured", "voiding", "voided", "expired"),
]


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("payments", "0005_checks")]

    operations = [
        migrations.RemoveConstraint(model_name="payment", name="payments_status_known"),
        AddConstraintNotValid(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(status__in=STATUSES), name="payments_status_is_known"
            ),
        ),
        ValidateConstraint(model_name="payment", name="payments_status_is_known"),
    ]
