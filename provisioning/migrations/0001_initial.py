"""Requests, decisions, grants, emergencies, red buttons, and what the engine keeps."""

import datetime

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

import accounts.aws_names
import provisioning.models.requests


class Migration(migrations.Migration):
    # Installations of the development version have taken these.
    replaces = [
        ("provisioning", "0001_requests_and_grants"),
        ("provisioning", "0003_grant_reopened"),
        ("provisioning", "0004_account_pace"),
        ("provisioning", "0005_life_cycle"),
        ("provisioning", "0006_next_look"),
        ("provisioning", "0007_one_time_passwords"),
        ("provisioning", "0008_two_approvers"),
        ("provisioning", "0009_drift"),
        ("provisioning", "0010_stages_and_rules"),
        ("provisioning", "0011_red_button"),
        ("provisioning", "0012_terms_and_questions"),
        ("provisioning", "0013_list_indexes"),
        ("provisioning", "0014_break_glass"),
        ("provisioning", "0015_ends_soon"),
        ("provisioning", "0016_a_last_word"),
    ]

    initial = True

    dependencies = [
        ("accounts", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

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
        migrations.CreateModel(
            name="AccessRequest",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "code",
                    models.CharField(
                        default=provisioning.models.requests.new_code,
                        editable=False,
                        max_length=16,
                        unique=True,
                    ),
                ),
                ("duration", models.DurationField()),
                ("starts_at", models.DateTimeField(blank=True, null=True)),
                ("extends_until", models.DateTimeField(blank=True, null=True)),
                ("terms_duration", models.DurationField(blank=True, editable=False, null=True)),
                ("terms_start", models.DateTimeField(blank=True, editable=False, null=True)),
                ("terms_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("reason", models.CharField(max_length=500)),
                (
                    "ticket",
                    models.CharField(
                        blank=True,
                        default="",
                        max_length=60,
                        validators=[accounts.aws_names.validate_one_line],
                    ),
                ),
                ("batch", models.UUIDField(blank=True, editable=False, null=True)),
                ("approvals_needed", models.PositiveSmallIntegerField(db_default=1, default=1)),
                ("quorums", models.JSONField(blank=True, default=list, editable=False)),
                (
                    "stage",
                    models.PositiveSmallIntegerField(db_default=1, default=1, editable=False),
                ),
                (
                    "approved_mark",
                    models.CharField(
                        blank=True, db_default="", default="", editable=False, max_length=64
                    ),
                ),
                ("trace", models.JSONField(blank=True, default=list, editable=False)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "pending"),
                            ("approved", "approved"),
                            ("rejected", "rejected"),
                            ("cancelled", "cancelled"),
                            ("expired", "expired"),
                        ],
                        default="pending",
                        max_length=10,
                    ),
                ),
                (
                    "asked_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                ("lapses_at", models.DateTimeField()),
                ("preview", models.JSONField(blank=True, editable=False, null=True)),
                ("previewed_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("next_look_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "identity",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="requests",
                        to="accounts.iamidentity",
                    ),
                ),
                (
                    "offer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="requests",
                        to="accounts.offer",
                    ),
                ),
                (
                    "profile_version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.profileversion",
                    ),
                ),
                (
                    "requester",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="requests",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "terms_by",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [
                    models.Index(fields=["state", "lapses_at"], name="request_state_lapses"),
                    models.Index(fields=["requester", "id"], name="request_by_person"),
                    models.Index(fields=["offer", "id"], name="request_by_offer"),
                    models.Index(
                        condition=models.Q(("state", "pending")),
                        fields=["id"],
                        name="request_waiting",
                    ),
                    models.Index(
                        condition=models.Q(("batch__isnull", False)),
                        fields=["batch"],
                        name="request_sent_together",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "state__in",
                                ["pending", "approved", "rejected", "cancelled", "expired"],
                            )
                        ),
                        name="request_state_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("duration__gt", datetime.timedelta(0))),
                        name="request_duration_is_positive",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("terms_duration__isnull", True),
                            models.Q(
                                ("terms_duration__gt", datetime.timedelta(0)),
                                ("terms_duration__lte", models.F("duration")),
                            ),
                            _connector="OR",
                        ),
                        name="request_terms_are_not_longer",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("terms_start__isnull", True),
                            ("starts_at__isnull", True),
                            ("terms_start__gte", models.F("starts_at")),
                            _connector="OR",
                        ),
                        name="request_terms_are_not_sooner",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="BreakGlass",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("fingerprint", models.CharField(max_length=64)),
                ("taken_at", models.DateTimeField()),
                ("closed_at", models.DateTimeField(null=True)),
                (
                    "group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="auth.group",
                    ),
                ),
                (
                    "request",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="break_glass",
                        to="provisioning.accessrequest",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("closed_at__isnull", True)),
                        fields=["taken_at"],
                        name="break_glass_open",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Comment",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "text",
                    models.CharField(
                        max_length=500, validators=[accounts.aws_names.validate_one_line]
                    ),
                ),
                (
                    "said_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "author",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "request",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="comments",
                        to="provisioning.accessrequest",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
            },
        ),
        migrations.CreateModel(
            name="Decision",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "verdict",
                    models.CharField(
                        choices=[("approved", "Approved"), ("rejected", "Rejected")], max_length=10
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=500)),
                ("fingerprint", models.CharField(max_length=64)),
                ("decided_at", models.DateTimeField()),
                ("stage", models.CharField(blank=True, default="", max_length=60)),
                ("trace", models.JSONField(blank=True, default=list)),
                ("again", models.BooleanField(db_default=False, default=False)),
                (
                    "approver",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="decisions",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "request",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="decisions",
                        to="provisioning.accessrequest",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("verdict__in", ["approved", "rejected"])),
                        name="decision_verdict_is_known",
                    ),
                    models.UniqueConstraint(
                        fields=("request", "approver", "fingerprint", "again"),
                        name="decision_once_per_plan",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Grant",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("code", models.CharField(editable=False, max_length=16, unique=True)),
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField()),
                ("extending_from", models.DateTimeField(null=True)),
                ("fingerprint", models.CharField(max_length=64)),
                ("iam_user_arn", models.CharField(max_length=640)),
                ("iam_user_id", models.CharField(max_length=128)),
                ("boundary_arn", models.CharField(max_length=640)),
                ("revoked_at", models.DateTimeField(null=True)),
                ("revoked_by", models.CharField(blank=True, max_length=150)),
                ("revoke_reason", models.CharField(blank=True, max_length=500)),
                (
                    "phase",
                    models.CharField(
                        choices=[
                            ("scheduled", "scheduled"),
                            ("pending", "pending"),
                            ("active", "active"),
                            ("ending", "ending"),
                            ("ended", "ended"),
                        ],
                        default="pending",
                        max_length=10,
                    ),
                ),
                ("intent_at", models.DateTimeField(null=True)),
                ("settled_at", models.DateTimeField(null=True)),
                ("reopened_at", models.DateTimeField(null=True)),
                ("ends_soon_for", models.DateTimeField(null=True)),
                ("locked_out_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
                ("next_check_at", models.DateTimeField(null=True)),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("last_error", models.TextField(blank=True)),
                ("generation", models.PositiveIntegerField(default=0)),
                ("leased_until", models.DateTimeField(null=True)),
                (
                    "authority",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="provisioning.accessrequest",
                    ),
                ),
                (
                    "identity",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="grants",
                        to="accounts.iamidentity",
                    ),
                ),
                (
                    "profile_version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.profileversion",
                    ),
                ),
                (
                    "request",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="grant",
                        to="provisioning.accessrequest",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("phase", "ended"), _negated=True),
                        fields=["next_check_at"],
                        name="grant_due",
                    ),
                    models.Index(fields=["phase", "ends_at"], name="grant_phase_ends"),
                    models.Index(
                        condition=models.Q(("phase", "ended"), _negated=True),
                        fields=["starts_at", "id"],
                        name="grant_live_starts",
                    ),
                    models.Index(
                        condition=models.Q(("phase", "ended"), _negated=True),
                        fields=["ends_at", "id"],
                        name="grant_live_ends",
                    ),
                    models.Index(
                        condition=models.Q(("phase", "ended")),
                        fields=["ended_at", "id"],
                        name="grant_over_ended",
                    ),
                    models.Index(
                        condition=models.Q(
                            models.Q(("phase", "ended"), _negated=True),
                            ("revoked_at__isnull", False),
                        ),
                        fields=["revoked_at"],
                        name="grant_revoked",
                    ),
                    models.Index(
                        condition=models.Q(
                            models.Q(("phase", "ended"), _negated=True),
                            ("attempts__gte", 3),
                            models.Q(("last_error", ""), _negated=True),
                        ),
                        fields=["starts_at"],
                        name="grant_attention",
                    ),
                    models.Index(
                        condition=models.Q(("phase", "scheduled"), ("revoked_at__isnull", True)),
                        fields=["starts_at"],
                        name="grant_scheduled",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("phase__in", ["scheduled", "pending", "active", "ending", "ended"])
                        ),
                        name="grant_phase_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("ends_at__gt", models.F("starts_at"))),
                        name="grant_ends_after_start",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("phase", "ended"), _negated=True),
                            models.Q(("ended_at__isnull", False), ("next_check_at__isnull", True)),
                            _connector="OR",
                        ),
                        name="grant_ended_is_final",
                    ),
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
        migrations.AddField(
            model_name="accessrequest",
            name="extends",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="extensions",
                to="provisioning.grant",
            ),
        ),
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
        migrations.CreateModel(
            name="ReadMark",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("comment_id", models.BigIntegerField()),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "request",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="read_marks",
                        to="provisioning.accessrequest",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("request", "person"), name="read_mark_is_unique"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Review",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "verdict",
                    models.CharField(
                        choices=[("justified", "Justified"), ("unjustified", "Not justified")],
                        max_length=11,
                    ),
                ),
                (
                    "note",
                    models.CharField(
                        max_length=500, validators=[accounts.aws_names.validate_one_line]
                    ),
                ),
                (
                    "reviewed_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "reviewer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "taken",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reviews",
                        to="provisioning.breakglass",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("verdict__in", ["justified", "unjustified"])),
                        name="review_verdict_is_known",
                    ),
                    models.UniqueConstraint(
                        fields=("taken", "reviewer"), name="review_once_per_person"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RuleApproval",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("fingerprint", models.CharField(max_length=64)),
                ("decided_at", models.DateTimeField()),
                ("trace", models.JSONField(default=list)),
                (
                    "request",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="rule_approval",
                        to="provisioning.accessrequest",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Stop",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.UUIDField(editable=False, unique=True)),
                (
                    "scope",
                    models.CharField(
                        choices=[
                            ("person", "all access of a person"),
                            ("account", "all access from and into an account"),
                            ("pair", "all access through a pair"),
                            ("everything", "all access of everybody"),
                        ],
                        max_length=10,
                    ),
                ),
                ("reason", models.CharField(max_length=500)),
                ("pressed_by", models.CharField(max_length=150)),
                (
                    "pressed_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                ("cancelled", models.PositiveIntegerField(default=0)),
                ("finished_at", models.DateTimeField(null=True)),
                ("pauses", models.BooleanField(default=False)),
                ("lifted_at", models.DateTimeField(null=True)),
                ("lifted_by", models.CharField(blank=True, max_length=150)),
                (
                    "account",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.awsaccount",
                    ),
                ),
                (
                    "pair",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.accountpair",
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [
                    models.Index(
                        condition=models.Q(
                            ("finished_at__isnull", True),
                            models.Q(("lifted_at__isnull", True), ("pauses", True)),
                            _connector="OR",
                        ),
                        fields=["pressed_at"],
                        name="stop_in_force",
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("account__isnull", True),
                                ("pair__isnull", True),
                                ("person__isnull", False),
                                ("scope", "person"),
                            ),
                            models.Q(
                                ("account__isnull", False),
                                ("pair__isnull", True),
                                ("person__isnull", True),
                                ("scope", "account"),
                            ),
                            models.Q(
                                ("account__isnull", True),
                                ("pair__isnull", False),
                                ("person__isnull", True),
                                ("scope", "pair"),
                            ),
                            models.Q(
                                ("account__isnull", True),
                                ("pair__isnull", True),
                                ("person__isnull", True),
                                ("scope", "everything"),
                            ),
                            _connector="OR",
                        ),
                        name="stop_names_its_scope",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("lifted_at__isnull", True), ("pauses", True), _connector="OR"
                        ),
                        name="stop_lifts_only_a_pause",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("finished_at__isnull", True)),
                        fields=("person",),
                        name="stop_one_unfinished_per_person",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("finished_at__isnull", True)),
                        fields=("account",),
                        name="stop_one_unfinished_per_account",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("finished_at__isnull", True)),
                        fields=("pair",),
                        name="stop_one_unfinished_per_pair",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("finished_at__isnull", True), ("scope", "everything")),
                        fields=("scope",),
                        name="stop_one_unfinished_for_everything",
                    ),
                ],
            },
        ),
        migrations.AddField(
            model_name="grant",
            name="stop",
            field=models.ForeignKey(
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="grants",
                to="provisioning.stop",
            ),
        ),
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
        migrations.AddConstraint(
            model_name="accessrequest",
            constraint=models.UniqueConstraint(
                condition=models.Q(("extends__isnull", True), ("state", "pending")),
                fields=("requester", "offer"),
                name="request_one_pending_per_offer",
                violation_error_message="A request of yours for this offer waits for a decision.",
            ),
        ),
        migrations.AddConstraint(
            model_name="accessrequest",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "pending")),
                fields=("extends",),
                name="request_one_pending_extension",
                violation_error_message="A request of yours for more time waits for a decision.",
            ),
        ),
        migrations.AddConstraint(
            model_name="accessrequest",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("extends__isnull", True),
                    models.Q(("terms_duration__isnull", True), ("terms_start__isnull", True)),
                    _connector="OR",
                ),
                name="request_terms_are_of_new_access",
            ),
        ),
    ]
