"""A person can allow a worker to give again what a settled grant lacks."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("provisioning", "0002_rules")]

    operations = [
        migrations.AddField("grant", "reopened_at", models.DateTimeField(null=True)),
    ]
