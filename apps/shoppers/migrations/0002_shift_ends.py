from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('shoppers', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='shopper',
            name='shift_ends_at',
            field=models.DateTimeField(null=True),
        ),
        AddConstraintNotValid(
            model_name='shopper',
            constraint=models.CheckConstraint(condition=models.Q(('last_lat__isnull', True), models.Q(('last_lat__range', (-90, 90)), ('last_lng__range', (-180, 180))), _connector='OR'), name='shoppers_shopper_on_earth'),
        ),
        AddConstraintNotValid(
            model_name='shopper',
            constraint=models.CheckConstraint(condition=models.Q(('shift_ends_at__isnull', True), models.Q(('is_online', True), ('shift_ends_at__gt', models.F('online_since'))), _connector='OR'), name='shoppers_shopper_shift'),
        ),
    ]
