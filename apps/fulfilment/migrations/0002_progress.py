from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('fulfilment', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='storeorder',
            name='lines_done',
            field=models.IntegerField(db_default=0),
        ),
        migrations.AddField(
            model_name='storeorder',
            name='units_done',
            field=models.IntegerField(db_default=0),
        ),
        migrations.AddField(
            model_name='storeorder',
            name='progress_at',
            field=models.DateTimeField(null=True),
        ),
        AddConstraintNotValid(
            model_name='storeorder',
            constraint=models.CheckConstraint(condition=models.Q(('lines_done__gte', 0), ('lines_done__lte', models.F('line_count')), ('units_done__gte', 0), ('units_done__lte', models.F('unit_count'))), name='fulfilment_order_done'),
        ),
    ]
