"""The audit log."""

import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    # Installations of the development version have taken these.
    replaces = [
        ("audit", "0001_audit_events"),
        ("audit", "0003_events_by_moment"),
    ]

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="AuditEvent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                ("kind", models.CharField(max_length=64)),
                ("actor", models.CharField(max_length=150)),
                ("subject", models.CharField(max_length=128)),
                ("sentence", models.CharField(max_length=500)),
                ("reason", models.TextField(blank=True)),
                ("data", models.JSONField(default=dict)),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [
                    models.Index(fields=["subject", "id"], name="audit_subject"),
                    models.Index(fields=["kind", "id"], name="audit_kind"),
                    models.Index(fields=["actor", "id"], name="audit_actor"),
                    models.Index(fields=["at", "id"], name="audit_at"),
                ],
            },
        ),
    ]
