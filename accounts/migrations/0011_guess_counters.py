"""Wrong passwords are counted, and make people wait."""

import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0010_break_glass"),
    ]

    operations = [
        migrations.CreateModel(
            name="GuessCounter",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("name", "Sign-in with one user name"),
                            ("address", "Sign-in from one network address"),
                            ("password", "The old password, asked for when it is changed"),
                        ],
                        max_length=10,
                    ),
                ),
                ("about", models.CharField(max_length=64)),
                ("device", models.CharField(blank=True, default="", max_length=32)),
                ("failures", models.PositiveIntegerField(db_default=0)),
                (
                    "open_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "forgotten_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["forgotten_at"], name="guesses_forgotten")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("kind", "about", "device"), name="guesses_one_counter"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["name", "address", "password"])),
                        name="guesses_kind_is_known",
                    ),
                ],
            },
        ),
    ]
