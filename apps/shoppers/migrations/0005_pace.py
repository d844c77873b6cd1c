import django.db.models.deletion
import django.db.models.manager
import sharding.fields
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('shoppers', '0004_certifications'),
    ]

    operations = [
        migrations.AddField(
            model_name='shopper',
            name='pace',
            field=models.FloatField(db_default=1.0),
        ),
        AddConstraintNotValid(
            model_name='shopper',
            constraint=models.CheckConstraint(condition=models.Q(('pace__range', (0.5, 2.0))), name='shoppers_shopper_pace'),
        ),
        migrations.CreateModel(
            name='Pick',
            fields=[
                ('id', sharding.fields.ShardAutoField(primary_key=True, serialize=False)),
                ('batch_id', models.BigIntegerField()),
                ('minutes', models.FloatField()),
                ('expected_minutes', models.FloatField()),
                ('picked_at', models.DateTimeField()),
                ('shopper', sharding.fields.ShardForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='picks', to='shoppers.shopper')),
            ],
            options={
                'indexes': [models.Index(fields=['shopper', '-picked_at'], name='shoppers_pick_recent')],
                'constraints': [models.UniqueConstraint(fields=('shopper', 'batch_id'), name='shoppers_pick_once'), models.CheckConstraint(condition=models.Q(('expected_minutes__gt', 0), ('minutes__gt', 0), ('minutes__lt', 1440)), name='shoppers_pick_took_time')],
            },
            managers=[
                ('objects', django.db.models.manager.Manager()),
                ('routed', django.db.models.manager.Manager()),
            ],
        ),
    ]
