"""An approver may shorten what was asked for, and people may ask about a request."""

import datetime

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

import accounts.aws_names
from audit.triggers import Rule, enforce, keeping_rules, lift


def _begins(start: str) -> Rule:
    return Rule(
        name="grant_begins_as_asked",
        table="provisioning_grant",
        events=("INSERT",),
        refused_when=(
            "EXISTS (SELECT 1 FROM provisioning_accessrequest r WHERE r.id = NEW.request_id "  # noqa: S608  # Constants.
            f"AND (r.extends_id IS NOT NULL OR {start} > NEW.starts_at))"
        ),
        message="a grant follows from a request of its own, not before the start asked for",
    )


def _changes(*columns: str) -> str:
    """Whether any of these columns, which may be null, changes."""
    return " OR ".join(
        f"(NEW.{one} IS NULL) <> (OLD.{one} IS NULL) OR NEW.{one} <> OLD.{one}" for one in columns
    )


_TERMS = _changes("terms_duration", "terms_start", "terms_by_id", "terms_at")
NEW = (
    _begins("COALESCE(r.terms_start, r.starts_at)"),
    Rule(
        name="request_terms_are_by_another",
        table="provisioning_accessrequest",
        events=("UPDATE",),
        refused_when=(
            f"({_TERMS}) AND (OLD.state <> 'pending' OR NEW.state <> 'pending' "
            "OR NEW.terms_by_id IS NULL OR NEW.terms_by_id = NEW.requester_id)"
        ),
        message="terms are changed by somebody else, while the request waits",
    ),
    Rule(
        name="request_begins_with_its_own_terms",
        table="provisioning_accessrequest",
        events=("INSERT",),
        refused_when="NEW.terms_duration IS NOT NULL OR NEW.terms_start IS NOT NULL",
        message="a new request has the terms that it asks for",
    ),
    Rule(
        name="comment_is_immutable",
        table="provisioning_comment",
        events=("UPDATE", "DELETE"),
        refused_when="OLD.id IS NOT NULL",
        message="what was said never changes",
    ),
)


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0001_audit_events"),
        ("accounts", "0008_approvers_are_in_stages"),
        ("provisioning", "0011_red_button"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        lift(_begins("r.starts_at")),
        *keeping_rules(
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
                ],
                options={
                    "ordering": ["id"],
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
                ],
            ),
            migrations.AddField(
                model_name="accessrequest",
                name="terms_at",
                field=models.DateTimeField(blank=True, editable=False, null=True),
            ),
            migrations.AddField(
                model_name="accessrequest",
                name="terms_by",
                field=models.ForeignKey(
                    blank=True,
                    editable=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            migrations.AddField(
                model_name="accessrequest",
                name="terms_duration",
                field=models.DurationField(blank=True, editable=False, null=True),
            ),
            migrations.AddField(
                model_name="accessrequest",
                name="terms_start",
                field=models.DateTimeField(blank=True, editable=False, null=True),
            ),
            migrations.AddConstraint(
                model_name="accessrequest",
                constraint=models.CheckConstraint(
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
            ),
            migrations.AddConstraint(
                model_name="accessrequest",
                constraint=models.CheckConstraint(
                    condition=models.Q(
                        ("terms_start__isnull", True),
                        ("starts_at__isnull", True),
                        ("terms_start__gte", models.F("starts_at")),
                        _connector="OR",
                    ),
                    name="request_terms_are_not_sooner",
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
            migrations.AddField(
                model_name="comment",
                name="author",
                field=models.ForeignKey(
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            migrations.AddField(
                model_name="comment",
                name="request",
                field=models.ForeignKey(
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="comments",
                    to="provisioning.accessrequest",
                ),
            ),
            migrations.AddField(
                model_name="readmark",
                name="person",
                field=models.ForeignKey(
                    on_delete=django.db.models.deletion.CASCADE,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            migrations.AddField(
                model_name="readmark",
                name="request",
                field=models.ForeignKey(
                    on_delete=django.db.models.deletion.CASCADE,
                    related_name="read_marks",
                    to="provisioning.accessrequest",
                ),
            ),
            migrations.AddConstraint(
                model_name="readmark",
                constraint=models.UniqueConstraint(
                    fields=("request", "person"), name="read_mark_is_unique"
                ),
            ),
        ),
        enforce(*NEW),
    ]
