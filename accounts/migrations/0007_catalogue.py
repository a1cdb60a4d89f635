"""Offers say more, and approvals have stages.

What an offer's approvers and its approval class were becomes its first stage: the high class asks
two different people there.
"""

import datetime

import django.db.models.deletion
import django.db.models.functions.datetime
from django.apps.registry import Apps
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

import accounts.aws_names
import accounts.tickets
from audit.triggers import keeping_rules


def stages_from_classes(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    offers, stages = (apps.get_model("accounts", one) for one in ("Offer", "ApprovalStage"))
    for offer in offers.objects.all():
        stage = stages.objects.create(
            offer=offer,
            position=1,
            name="Approval",
            quorum=2 if offer.approval_class == "high" else 1,
        )
        stage.people.set(offer.approver_users.all())
        stage.groups.set(offer.approver_groups.all())


def classes_from_stages(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Stages after the first are lost, and a quorum over two: the former tables cannot say them.
    Their people still approve, and two of them are asked."""
    offers = apps.get_model("accounts", "Offer")
    for offer in offers.objects.all():
        stages = list(offer.stages.all())
        high = sum(stage.quorum for stage in stages) > 1
        offer.approval_class = "high" if high else "standard"
        offer.save(update_fields=["approval_class"])
        for stage in stages:
            offer.approver_users.add(*stage.people.all())
            offer.approver_groups.add(*stage.groups.all())


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0006_check_failing_since"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("audit", "0001_audit_events"),
    ]

    operations = [
        *keeping_rules(
            migrations.CreateModel(
                name="ApprovalStage",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    ("position", models.PositiveSmallIntegerField()),
                    (
                        "name",
                        models.CharField(
                            max_length=60, validators=[accounts.aws_names.validate_one_line]
                        ),
                    ),
                    ("quorum", models.PositiveSmallIntegerField(default=1)),
                ],
                options={
                    "ordering": ["offer", "position"],
                },
            ),
            migrations.CreateModel(
                name="FavouriteOffer",
                fields=[
                    (
                        "id",
                        models.BigAutoField(
                            auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                        ),
                    ),
                    (
                        "created_at",
                        models.DateTimeField(
                            db_default=django.db.models.functions.datetime.Now(), editable=False
                        ),
                    ),
                ],
            ),
            migrations.AddField(
                model_name="awsaccount",
                name="alias",
                field=models.CharField(
                    blank=True,
                    default="",
                    max_length=63,
                    validators=[accounts.aws_names.validate_account_alias],
                    verbose_name="account alias",
                ),
            ),
            migrations.AddField(
                model_name="offer",
                name="auto_approve",
                field=models.BooleanField(default=False, verbose_name="approve by rule"),
            ),
            migrations.AddField(
                model_name="offer",
                name="auto_days",
                field=models.CharField(blank=True, max_length=7),
            ),
            migrations.AddField(
                model_name="offer",
                name="auto_from",
                field=models.TimeField(blank=True, null=True),
            ),
            migrations.AddField(
                model_name="offer",
                name="auto_group",
                field=models.ForeignKey(
                    blank=True,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="auth.group",
                ),
            ),
            migrations.AddField(
                model_name="offer",
                name="auto_longest",
                field=models.DurationField(blank=True, null=True, verbose_name="longest by rule"),
            ),
            migrations.AddField(
                model_name="offer",
                name="auto_until",
                field=models.TimeField(blank=True, null=True),
            ),
            migrations.AddField(
                model_name="offer",
                name="auto_zone",
                field=models.CharField(blank=True, max_length=64),
            ),
            migrations.AddField(
                model_name="offer",
                name="default_duration",
                field=models.DurationField(
                    default=datetime.timedelta(seconds=3600), verbose_name="usual duration"
                ),
            ),
            migrations.AddField(
                model_name="offer",
                name="is_listed",
                field=models.BooleanField(default=False, verbose_name="shown to everybody"),
            ),
            migrations.AddField(
                model_name="offer",
                name="reason_example",
                field=models.CharField(
                    blank=True, max_length=200, validators=[accounts.aws_names.validate_one_line]
                ),
            ),
            migrations.AddField(
                model_name="offer",
                name="reason_prompt",
                field=models.CharField(
                    blank=True, max_length=120, validators=[accounts.aws_names.validate_one_line]
                ),
            ),
            migrations.AddField(
                model_name="offer",
                name="request_lifetime",
                field=models.DurationField(
                    default=datetime.timedelta(days=1), verbose_name="requests wait for"
                ),
            ),
            migrations.AddField(
                model_name="offer",
                name="sensitivity",
                field=models.CharField(
                    choices=[("low", "Low"), ("normal", "Normal"), ("high", "High")],
                    default="normal",
                    max_length=6,
                ),
            ),
            migrations.AddField(
                model_name="offer",
                name="ticket_hint",
                field=models.CharField(
                    blank=True, max_length=120, validators=[accounts.aws_names.validate_one_line]
                ),
            ),
            migrations.AddField(
                model_name="offer",
                name="ticket_pattern",
                field=models.CharField(
                    blank=True, max_length=100, validators=[accounts.tickets.validate_pattern]
                ),
            ),
            migrations.AddField(
                model_name="offer",
                name="ticket_required",
                field=models.BooleanField(default=False, verbose_name="a ticket is required"),
            ),
            migrations.AddField(
                model_name="offer",
                name="warning",
                field=models.CharField(
                    blank=True, max_length=300, validators=[accounts.aws_names.validate_one_line]
                ),
            ),
            migrations.AddConstraint(
                model_name="awsaccount",
                constraint=models.UniqueConstraint(
                    condition=models.Q(("alias", ""), _negated=True),
                    fields=("partition", "alias"),
                    name="account_alias_unique",
                    violation_error_message="Another account has this alias already.",
                ),
            ),
            migrations.AddConstraint(
                model_name="offer",
                constraint=models.CheckConstraint(
                    condition=models.Q(
                        ("default_duration__gte", datetime.timedelta(seconds=300)),
                        ("default_duration__lte", datetime.timedelta(days=7)),
                    ),
                    name="offer_usual_duration_within_bounds",
                    violation_error_message="The usual duration is between 5 minutes and 7 days.",
                ),
            ),
            migrations.AddConstraint(
                model_name="offer",
                constraint=models.CheckConstraint(
                    condition=models.Q(
                        ("request_lifetime__gte", datetime.timedelta(seconds=900)),
                        ("request_lifetime__lte", datetime.timedelta(days=14)),
                    ),
                    name="offer_wait_within_bounds",
                    violation_error_message="A request waits between 15 minutes and 14 days.",
                ),
            ),
            migrations.AddConstraint(
                model_name="offer",
                constraint=models.CheckConstraint(
                    condition=models.Q(("sensitivity__in", ["low", "normal", "high"])),
                    name="offer_sensitivity_is_known",
                    violation_error_message="The sensitivity is low, normal or high.",
                ),
            ),
            migrations.AddConstraint(
                model_name="offer",
                constraint=models.CheckConstraint(
                    condition=models.Q(
                        ("auto_approve", False), ("sensitivity", "low"), _connector="OR"
                    ),
                    name="offer_rule_needs_low_sensitivity",
                    violation_error_message="A rule approves only where the sensitivity is low.",
                ),
            ),
            migrations.AddConstraint(
                model_name="offer",
                constraint=models.CheckConstraint(
                    condition=models.Q(
                        ("auto_approve", False),
                        models.Q(
                            ("auto_longest__gte", datetime.timedelta(seconds=300)),
                            ("auto_longest__isnull", False),
                            ("auto_longest__lte", models.F("max_duration")),
                        ),
                        _connector="OR",
                    ),
                    name="offer_rule_has_its_longest",
                    violation_error_message="Say how long the rule may approve: 5 minutes to the longest duration.",
                ),
            ),
            migrations.AddConstraint(
                model_name="offer",
                constraint=models.CheckConstraint(
                    condition=models.Q(
                        models.Q(
                            ("auto_days", ""),
                            ("auto_from__isnull", True),
                            ("auto_until__isnull", True),
                            ("auto_zone", ""),
                        ),
                        models.Q(
                            models.Q(("auto_zone", ""), _negated=True),
                            ("auto_days__regex", "^[1-7]+$"),
                            ("auto_from__isnull", False),
                            ("auto_from__lt", models.F("auto_until")),
                            ("auto_until__isnull", False),
                        ),
                        _connector="OR",
                    ),
                    name="offer_rule_hours_are_whole",
                    violation_error_message="Working hours need a time zone, weekdays, and a beginning before their end.",
                ),
            ),
            migrations.AddField(
                model_name="approvalstage",
                name="groups",
                field=models.ManyToManyField(blank=True, related_name="+", to="auth.group"),
            ),
            migrations.AddField(
                model_name="approvalstage",
                name="offer",
                field=models.ForeignKey(
                    on_delete=django.db.models.deletion.CASCADE,
                    related_name="stages",
                    to="accounts.offer",
                ),
            ),
            migrations.AddField(
                model_name="approvalstage",
                name="people",
                field=models.ManyToManyField(
                    blank=True, related_name="+", to=settings.AUTH_USER_MODEL
                ),
            ),
            migrations.AddField(
                model_name="favouriteoffer",
                name="offer",
                field=models.ForeignKey(
                    on_delete=django.db.models.deletion.CASCADE,
                    related_name="+",
                    to="accounts.offer",
                ),
            ),
            migrations.AddField(
                model_name="favouriteoffer",
                name="person",
                field=models.ForeignKey(
                    on_delete=django.db.models.deletion.CASCADE,
                    related_name="favourites",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            migrations.AddConstraint(
                model_name="approvalstage",
                constraint=models.UniqueConstraint(
                    fields=("offer", "position"), name="stage_position_unique"
                ),
            ),
            migrations.AddConstraint(
                model_name="approvalstage",
                constraint=models.CheckConstraint(
                    condition=models.Q(("position__gte", 1), ("position__lte", 3)),
                    name="stage_position_within_bounds",
                ),
            ),
            migrations.AddConstraint(
                model_name="approvalstage",
                constraint=models.CheckConstraint(
                    condition=models.Q(("quorum__gte", 1), ("quorum__lte", 5)),
                    name="stage_quorum_within_bounds",
                    violation_error_message="In a stage 1 to 5 people approve.",
                ),
            ),
            migrations.AddConstraint(
                model_name="favouriteoffer",
                constraint=models.UniqueConstraint(
                    fields=("person", "offer"), name="favourite_is_unique"
                ),
            ),
            migrations.RunPython(stages_from_classes, classes_from_stages),
        ),
    ]
