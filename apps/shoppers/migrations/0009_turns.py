from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('shoppers', '0008_valid_peak_pay'),
    ]

    operations = [
        migrations.AddField(
            model_name='shopper',
            name='turn_at',
            field=models.DateTimeField(null=True),
        ),
    ]
