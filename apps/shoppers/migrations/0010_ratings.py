import django.db.models.deletion
import django.db.models.manager
import sharding.fields
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('shoppers', '0009_turns'),
    ]

    operations = [
        migrations.AddField(
            model_name='shopper',
            name='rating',
            field=models.FloatField(db_default=4.7),
        ),
        migrations.AddField(
            model_name='shopper',
            name='ratings',
            field=models.SmallIntegerField(db_default=0),
        ),
        AddConstraintNotValid(
            model_name='shopper',
            constraint=models.CheckConstraint(condition=models.Q(('rating__range', (1, 5)), ('ratings__range', (0, 100))), name='shoppers_shopper_rating'),
        ),
        migrations.CreateModel(
            name='Rating',
            fields=[
                ('id', sharding.fields.ShardAutoField(primary_key=True, serialize=False)),
                ('order_id', models.BigIntegerField()),
                ('stars', models.SmallIntegerField()),
                ('counts', models.BooleanField()),
                ('version', models.IntegerField()),
                ('delivered_at', models.DateTimeField()),
                ('shopper', sharding.fields.ShardForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='rated', to='shoppers.shopper')),
            ],
            options={
                'indexes': [models.Index(fields=['shopper', '-delivered_at'], name='shoppers_rating_recent')],
                'constraints': [models.UniqueConstraint(fields=('shopper', 'order_id'), name='shoppers_rating_once'), models.CheckConstraint(condition=models.Q(('stars__range', (1, 5))), name='shoppers_rating_stars')],
            },
            managers=[
                ('objects', django.db.models.manager.Manager()),
                ('routed', django.db.models.manager.Manager()),
            ],
        ),
    ]
