"""Scans of accounts, and what they found."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0002_rules"),
        ("provisioning", "0008_two_approvers"),
    ]

    operations = [
        migrations.CreateModel(
            name="AccountScan",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("due_at", models.DateTimeField()),
                ("started_at", models.DateTimeField(null=True)),
                ("leased_until", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("calls", models.PositiveIntegerField(default=0)),
                ("objects_seen", models.PositiveIntegerField(default=0)),
                ("error", models.TextField(blank=True)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="scans",
                        to="accounts.awsaccount",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("finished_at__isnull", True)),
                        fields=["due_at"],
                        name="scan_due",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("finished_at__isnull", True)),
                        fields=("account",),
                        name="scan_one_next_per_account",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="DriftFinding",
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
                            ("widened", "widened"),
                            ("narrowed", "narrowed"),
                            ("orphan", "orphan"),
                            ("unknown", "unknown"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "thing",
                    models.CharField(
                        choices=[
                            ("role", "role"),
                            ("group", "group"),
                            ("membership", "membership"),
                        ],
                        max_length=10,
                    ),
                ),
                ("name", models.CharField(max_length=260)),
                ("summary", models.TextField()),
                ("approved", models.JSONField(default=dict)),
                ("in_aws", models.JSONField(default=dict)),
                ("first_seen_at", models.DateTimeField()),
                ("last_seen_at", models.DateTimeField()),
                ("seen", models.PositiveIntegerField(default=1)),
                ("act_at", models.DateTimeField(null=True)),
                ("resolved_at", models.DateTimeField(null=True)),
                ("done", models.TextField(blank=True)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="drift",
                        to="accounts.awsaccount",
                    ),
                ),
                (
                    "grant",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="drift",
                        to="provisioning.grant",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("act_at__isnull", False)),
                        fields=["act_at"],
                        name="drift_to_do",
                    ),
                    models.Index(fields=["resolved_at", "kind"], name="drift_open"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("kind__in", ["widened", "narrowed", "orphan", "unknown"])
                        ),
                        name="drift_kind_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("thing__in", ["role", "group", "membership"])),
                        name="drift_thing_is_known",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("resolved_at__isnull", True)),
                        fields=("account", "kind", "thing", "name"),
                        name="drift_one_open_per_thing",
                    ),
                ],
            },
        ),
    ]
