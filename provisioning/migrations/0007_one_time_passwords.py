"""Requests for one-time passwords of created IAM users. They move one way, and keep no secret."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

from audit.triggers import Rule, enforce

EDGES = (
    ("waiting", "sealed"),
    ("waiting", "failed"),
    ("waiting", "lapsed"),
    ("sealed", "shown"),
    ("sealed", "lapsed"),
)
ALLOWED = " OR ".join(f"(OLD.state = '{a}' AND NEW.state = '{b}')" for a, b in EDGES)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_created_users"),
        ("provisioning", "0006_next_look"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="PasswordRequest",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "asked_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                ("lapses_at", models.DateTimeField()),
                ("public_key", models.CharField(max_length=64)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "waiting"),
                            ("sealed", "sealed"),
                            ("shown", "shown"),
                            ("failed", "failed"),
                            ("lapsed", "lapsed"),
                        ],
                        default="waiting",
                        max_length=7,
                    ),
                ),
                ("leased_until", models.DateTimeField(null=True)),
                ("sealed", models.TextField(blank=True)),
                ("shown_at", models.DateTimeField(null=True)),
                ("last_error", models.TextField(blank=True)),
                (
                    "asked_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "identity",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="passwords",
                        to="accounts.iamidentity",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("state__in", ["waiting", "sealed"])),
                        fields=["lapses_at"],
                        name="password_open",
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("state__in", ["waiting", "sealed", "shown", "failed", "lapsed"])
                        ),
                        name="password_state_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "sealed"), models.Q(("sealed", ""), _negated=True)),
                            models.Q(models.Q(("state", "sealed"), _negated=True), ("sealed", "")),
                            _connector="OR",
                        ),
                        name="password_is_sealed_only_while_it_waits",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("shown_at__isnull", False), ("state", "shown")),
                            models.Q(
                                models.Q(("state", "shown"), _negated=True),
                                ("shown_at__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="password_shown_has_its_time",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("state__in", ["waiting", "sealed"])),
                        fields=("identity",),
                        name="password_one_open_per_user",
                    ),
                ],
            },
        ),
        enforce(
            Rule(
                name="password_moves_one_way",
                table="provisioning_passwordrequest",
                events=("UPDATE",),
                refused_when=f"OLD.state <> NEW.state AND NOT ({ALLOWED})",
                message="a one-time password is shown once",
            ),
            Rule(
                name="password_request_is_immutable",
                table="provisioning_passwordrequest",
                events=("UPDATE",),
                refused_when=(
                    "NEW.identity_id <> OLD.identity_id OR NEW.asked_by_id <> OLD.asked_by_id "
                    "OR NEW.public_key <> OLD.public_key"
                ),
                message="whoever asked for a password, and for whom, never changes",
            ),
        ),
    ]
