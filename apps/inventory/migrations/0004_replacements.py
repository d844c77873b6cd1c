import django.db.models.manager
import sharding.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('inventory', '0003_valid_states'),
    ]

    operations = [
        migrations.CreateModel(
            name='ReplacementHold',
            fields=[
                ('id', sharding.fields.ShardAutoField(primary_key=True, serialize=False)),
                ('store_id', models.BigIntegerField()),
                ('order_id', models.BigIntegerField()),
                ('claim_id', models.BigIntegerField()),
                ('item_id', models.BigIntegerField()),
                ('quantity', models.DecimalField(decimal_places=3, max_digits=12)),
                ('state', models.CharField(max_length=9)),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('state', 'committed')), fields=['store_id', 'order_id'], name='inventory_replacement_live')],
                'constraints': [models.UniqueConstraint(fields=('store_id', 'claim_id'), name='inventory_replacement_once'), models.CheckConstraint(condition=models.Q(('quantity__gt', 0)), name='inventory_replacement_of_something'), models.CheckConstraint(condition=models.Q(('state__in', ['committed', 'consumed', 'released'])), name='inventory_replacement_state')],
            },
            managers=[
                ('objects', django.db.models.manager.Manager()),
                ('routed', django.db.models.manager.Manager()),
            ],
        ),
    ]
