from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('dispatch', '0007_valid_peak_pay'),
    ]

    operations = [
        migrations.CreateModel(
            name='RoadSpeeds',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('fitted_at', models.DateTimeField()),
                ('legs', models.PositiveIntegerField()),
                ('content', models.JSONField()),
                ('figures', models.JSONField()),
            ],
        ),
    ]
