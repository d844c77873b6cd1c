from django.contrib.postgres.operations import AddIndexConcurrently, ValidateConstraint
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # writers go on meanwhile

    dependencies = [
        ('fulfilment', '0002_progress'),
    ]

    operations = [
        ValidateConstraint(model_name='storeorder', name='fulfilment_order_done'),
        AddIndexConcurrently(
            model_name='storeorder',
            index=models.Index(condition=models.Q(('status__in', ['assigned', 'picking'])), fields=['progress_at'], name='fulfilment_quiet'),
        ),
    ]
