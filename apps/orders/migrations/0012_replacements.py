import django.db.models.deletion
import django.db.models.expressions
import django.db.models.manager
import sharding.fields
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0011_valid_money'),
    ]

    operations = [
        migrations.CreateModel(
            name='Replacement',
            fields=[
                ('id', sharding.fields.ShardAutoField(primary_key=True, serialize=False)),
                ('customer_id', models.BigIntegerField()),
                ('proposal_id', models.BigIntegerField()),
                ('status', models.CharField(max_length=13)),
                ('item_id', models.BigIntegerField(null=True)),
                ('name', models.CharField(max_length=200)),
                ('code', models.CharField(blank=True, max_length=64)),
                ('cost_unit', models.CharField(max_length=8)),
                ('sold_by', models.CharField(max_length=8)),
                ('quantity', models.DecimalField(decimal_places=3, max_digits=12)),
                ('unit_price_cents', models.BigIntegerField()),
                ('list_price_cents', models.BigIntegerField()),
                ('unit_grams', models.IntegerField()),
                ('tax_category', models.CharField(blank=True, max_length=40)),
                ('deposit_cents', models.BigIntegerField()),
                ('shown_cents', models.BigIntegerField()),
                ('ordered_cents', models.BigIntegerField()),
                ('charged_cents', models.BigIntegerField(null=True)),
                ('proposed_by', models.CharField(max_length=40)),
                ('asked_at', models.DateTimeField()),
                ('answer_by', models.DateTimeField()),
                ('answered_by', models.CharField(blank=True, max_length=40)),
                ('answered_at', models.DateTimeField(null=True)),
                ('alternative_item_id', models.BigIntegerField(null=True)),
            ],
            managers=[
                ('objects', django.db.models.manager.Manager()),
                ('routed', django.db.models.manager.Manager()),
            ],
        ),
        migrations.AddField(
            model_name='orderline',
            name='replacement_id',
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='orderline',
            name='wish_version',
            field=models.IntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='orderline',
            name='wished_cents',
            field=models.BigIntegerField(null=True),
        ),
        AddConstraintNotValid(
            model_name='orderline',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('replacement_id__isnull', False), ('status', 'replaced')), models.Q(models.Q(('status', 'replaced'), _negated=True), ('replacement_id__isnull', True)), _connector='OR'), name='orders_line_replaced_by_something'),
        ),
        migrations.AddField(
            model_name='replacement',
            name='line',
            field=sharding.fields.ShardForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='replacements', to='orders.orderline'),
        ),
        migrations.AddField(
            model_name='replacement',
            name='order',
            field=sharding.fields.ShardForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='replacements', to='orders.order'),
        ),
        migrations.AddIndex(
            model_name='replacement',
            index=models.Index(condition=models.Q(('status', 'proposed')), fields=['answer_by'], name='orders_replacement_open'),
        ),
        migrations.AddIndex(
            model_name='replacement',
            index=models.Index(fields=['line'], name='orders_replacement_of_line'),
        ),
        migrations.AddConstraint(
            model_name='replacement',
            constraint=models.UniqueConstraint(fields=('customer_id', 'proposal_id'), name='orders_replacement_once'),
        ),
        migrations.AddConstraint(
            model_name='replacement',
            constraint=models.UniqueConstraint(condition=models.Q(('status', 'proposed')), fields=('customer_id', 'line'), name='orders_replacement_one_open'),
        ),
        migrations.AddConstraint(
            model_name='replacement',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['proposed', 'approved', 'auto_approved', 'rejected', 'withdrawn'])), name='orders_replacement_status'),
        ),
        migrations.AddConstraint(
            model_name='replacement',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('answered_at__isnull', True), ('answered_by', ''), ('status', 'proposed')), models.Q(models.Q(('status', 'proposed'), _negated=True), ('answered_at__isnull', False), models.Q(('answered_by', ''), _negated=True)), _connector='OR'), name='orders_replacement_answered_by_somebody'),
        ),
        migrations.AddConstraint(
            model_name='replacement',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('charged_cents__isnull', False), ('status__in', ['approved', 'auto_approved'])), models.Q(models.Q(('status__in', ['approved', 'auto_approved']), _negated=True), ('charged_cents__isnull', True)), _connector='OR'), name='orders_replacement_charged_if_accepted'),
        ),
        migrations.AddConstraint(
            model_name='replacement',
            constraint=models.CheckConstraint(condition=models.Q(('charged_cents__isnull', True), models.Q(('charged_cents__gte', 0), ('charged_cents__lte', models.F('shown_cents'))), _connector='OR'), name='orders_replacement_no_more_than_shown'),
        ),
        migrations.AddConstraint(
            model_name='replacement',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'auto_approved'), _negated=True), ('charged_cents__lte', django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(models.F('ordered_cents'), '*', models.Value(110)), '/', models.Value(100))), _connector='OR'), name='orders_replacement_unasked_is_capped'),
        ),
        migrations.AddConstraint(
            model_name='replacement',
            constraint=models.CheckConstraint(condition=models.Q(('alternative_item_id__isnull', True), ('status', 'rejected'), _connector='OR'), name='orders_replacement_alternative_if_rejected'),
        ),
        migrations.AddConstraint(
            model_name='replacement',
            constraint=models.CheckConstraint(condition=models.Q(('deposit_cents__gte', 0), ('ordered_cents__gte', 0), ('quantity__gt', 0), ('unit_price_cents__gt', 0), ('list_price_cents__gte', models.F('unit_price_cents'))), name='orders_replacement_of_something'),
        ),
    ]
