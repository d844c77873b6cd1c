import django.db.models.deletion
import django.db.models.manager
import sharding.fields
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('fulfilment', '0007_edits'),
    ]

    operations = [
        migrations.CreateModel(
            name='Proposal',
            fields=[
                ('id', sharding.fields.ShardAutoField(primary_key=True, serialize=False)),
                ('store_id', models.BigIntegerField()),
                ('order_id', models.BigIntegerField()),
                ('line_id', models.BigIntegerField()),
                ('key', models.CharField(max_length=80)),
                ('shopper_id', models.BigIntegerField()),
                ('status', models.CharField(default='proposed', max_length=13)),
                ('is_withdrawn', models.BooleanField(default=False)),
                ('item_id', models.BigIntegerField(null=True)),
                ('name', models.CharField(max_length=200)),
                ('code', models.CharField(blank=True, max_length=64)),
                ('cost_unit', models.CharField(max_length=8)),
                ('sold_by', models.CharField(max_length=8)),
                ('quantity', models.DecimalField(decimal_places=3, max_digits=12)),
                ('unit_price_cents', models.BigIntegerField()),
                ('list_price_cents', models.BigIntegerField()),
                ('unit_grams', models.IntegerField(default=0)),
                ('tax_category', models.CharField(blank=True, max_length=40)),
                ('deposit_cents', models.BigIntegerField(default=0)),
                ('proposed_at', models.DateTimeField()),
                ('answered_at', models.DateTimeField(null=True)),
            ],
            managers=[
                ('objects', django.db.models.manager.Manager()),
                ('routed', django.db.models.manager.Manager()),
            ],
        ),
        migrations.RemoveConstraint(
            model_name='pickline',
            name='fulfilment_line_status',
        ),
        migrations.AddField(
            model_name='pickline',
            name='replacement_item_id',
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='pickline',
            name='wish_version',
            field=models.IntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='proposal',
            name='store_order',
            field=sharding.fields.ShardForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='proposals', to='fulfilment.storeorder'),
        ),
        migrations.AddField(
            model_name='pickline',
            name='replaced_by',
            field=sharding.fields.ShardForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.RESTRICT, related_name='+', to='fulfilment.proposal'),
        ),
        AddConstraintNotValid(
            model_name='pickline',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['not_picked', 'found', 'replaced', 'to_refund'])), name='fulfilment_line_status'),
        ),
        AddConstraintNotValid(
            model_name='pickline',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('replaced_by__isnull', False), ('status', 'replaced')), models.Q(models.Q(('status', 'replaced'), _negated=True), ('replaced_by__isnull', True)), _connector='OR'), name='fulfilment_line_replaced_by_something'),
        ),
        migrations.AddIndex(
            model_name='proposal',
            index=models.Index(fields=['store_order'], name='fulfilment_proposal_of_order'),
        ),
        migrations.AddConstraint(
            model_name='proposal',
            constraint=models.UniqueConstraint(fields=('store_id', 'store_order', 'key'), name='fulfilment_proposal_once'),
        ),
        migrations.AddConstraint(
            model_name='proposal',
            constraint=models.UniqueConstraint(condition=models.Q(('status', 'proposed')), fields=('store_id', 'line_id'), name='fulfilment_proposal_one_open'),
        ),
        migrations.AddConstraint(
            model_name='proposal',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['proposed', 'approved', 'auto_approved', 'rejected', 'withdrawn'])), name='fulfilment_proposal_status'),
        ),
        migrations.AddConstraint(
            model_name='proposal',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('answered_at__isnull', True), ('status', 'proposed')), models.Q(models.Q(('status', 'proposed'), _negated=True), ('answered_at__isnull', False)), _connector='OR'), name='fulfilment_proposal_answered'),
        ),
        migrations.AddConstraint(
            model_name='proposal',
            constraint=models.CheckConstraint(condition=models.Q(('deposit_cents__gte', 0), ('quantity__gt', 0), ('unit_price_cents__gt', 0)), name='fulfilment_proposal_of_something'),
        ),
    ]
