"""How many calls each account takes, shared by all workers."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("provisioning", "0003_grant_reopened"), ("accounts", "0002_rules")]

    operations = [
        migrations.CreateModel(
            name="AccountPace",
            fields=[
                (
                    "account",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="pace",
                        serialize=False,
                        to="accounts.awsaccount",
                    ),
                ),
                ("rate", models.FloatField()),
                ("free_at", models.DateTimeField()),
                ("slowed_at", models.DateTimeField(null=True)),
                ("turn", models.PositiveBigIntegerField(default=0)),
            ],
        ),
    ]
