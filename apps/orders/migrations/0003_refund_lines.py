from django.contrib.postgres.operations import AddConstraintNotValid, ValidateConstraint
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("orders", "0002_refunds")]

    operations = [
        migrations.RemoveConstraint(model_name="orderadjustment", name="orders_adjustment_phase"),
        AddConstraintNotValid(
            model_name="orderadjustment",
            constraint=models.CheckConstraint(
                condition=Q(phase__in=["estimate", "final", "refund"]), name="orders_adjustment_phase_known"
            ),
        ),
        AddConstraintNotValid(
            model_name="orderadjustment",
            constraint=models.CheckConstraint(
                condition=~Q(phase="refund") | Q(amount_cents__lt=0), name="orders_refund_lines_below_zero"
            ),
        ),
        ValidateConstraint(model_name="orderadjustment", name="orders_adjustment_phase_known"),
        ValidateConstraint(model_name="orderadjustment", name="orders_refund_lines_below_zero"),
    ]
