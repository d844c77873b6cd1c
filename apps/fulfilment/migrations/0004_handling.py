from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('fulfilment', '0003_progress_holds'),
    ]

    operations = [
        migrations.AddField(
            model_name='storeorder',
            name='grams',
            field=models.BigIntegerField(db_default=0),
        ),
        migrations.AddField(
            model_name='storeorder',
            name='has_alcohol',
            field=models.BooleanField(db_default=False),
        ),
        migrations.AddField(
            model_name='storeorder',
            name='is_cold',
            field=models.BooleanField(db_default=False),
        ),
        AddConstraintNotValid(
            model_name='storeorder',
            constraint=models.CheckConstraint(condition=models.Q(('grams__gte', 0)), name='fulfilment_order_weighs'),
        ),
    ]
