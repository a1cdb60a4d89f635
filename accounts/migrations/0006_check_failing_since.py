"""Since when connection checks of an account fail."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_approval_class"),
    ]

    operations = [
        migrations.AddField(
            model_name="connectioncheck",
            name="failing_since",
            field=models.DateTimeField(null=True),
        ),
    ]
