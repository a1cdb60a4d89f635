"""The red button: one row ends all access of a scope, and nothing begins there until it is done."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

from audit.triggers import Rule, enforce, keeping_rules

_COVERED = (
    "(s.scope = 'everything' OR s.person_id = r.requester_id OR s.pair_id = p.id "
    "OR s.account_id = p.source_id OR s.account_id = p.target_id)"
)
_STOPPED = (
    "EXISTS (SELECT 1 FROM provisioning_stop s "  # noqa: S608  # Constants of this file.
    "JOIN provisioning_accessrequest r ON r.id = COALESCE(NEW.authority_id, NEW.request_id) "
    "JOIN accounts_offer o ON o.id = r.offer_id "
    "JOIN accounts_accountpair p ON p.id = o.pair_id "
    "WHERE (s.finished_at IS NULL OR (s.pauses AND s.lifted_at IS NULL)) AND "
    f"{_COVERED})"
)
RULES = (
    Rule(
        name="grant_not_while_stopped",
        table="provisioning_grant",
        events=("INSERT",),
        refused_when=_STOPPED,
        message="nothing begins in the scope of a red button that is in force",
    ),
    Rule(
        name="grant_not_longer_while_stopped",
        table="provisioning_grant",
        events=("UPDATE",),
        refused_when=f"NEW.ends_at > OLD.ends_at AND {_STOPPED}",
        message="nothing lasts longer in the scope of a red button that is in force",
    ),
    Rule(
        name="request_not_while_paused",
        table="provisioning_accessrequest",
        events=("INSERT",),
        refused_when=(
            "EXISTS (SELECT 1 FROM provisioning_stop s, accounts_offer o "  # noqa: S608  # The same.
            "JOIN accounts_accountpair p ON p.id = o.pair_id WHERE o.id = NEW.offer_id "
            "AND s.pauses AND s.lifted_at IS NULL AND "
            + _COVERED.replace("r.requester_id", "NEW.requester_id")
            + ")"
        ),
        message="new requests are paused here",
    ),
    Rule(
        name="stop_is_immutable",
        table="provisioning_stop",
        events=("UPDATE",),
        refused_when=(
            "NEW.key <> OLD.key OR NEW.scope <> OLD.scope OR NEW.reason <> OLD.reason "
            "OR NEW.pressed_by <> OLD.pressed_by OR NEW.pauses <> OLD.pauses "
            "OR COALESCE(NEW.person_id, 0) <> COALESCE(OLD.person_id, 0) "
            "OR COALESCE(NEW.account_id, 0) <> COALESCE(OLD.account_id, 0) "
            "OR COALESCE(NEW.pair_id, 0) <> COALESCE(OLD.pair_id, 0) "
            "OR (OLD.finished_at IS NOT NULL AND NEW.finished_at IS NULL) "
            "OR (OLD.lifted_at IS NOT NULL AND NEW.lifted_at IS NULL)"
        ),
        message="what was pressed never changes",
    ),
    Rule(
        name="stop_is_never_deleted",
        table="provisioning_stop",
        events=("DELETE",),
        refused_when="OLD.id IS NOT NULL",
        message="a red button stays in the record",
    ),
)


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0001_audit_events"),
        ("accounts", "0008_approvers_are_in_stages"),
        ("provisioning", "0010_stages_and_rules"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
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
            },
        ),
        *keeping_rules(
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
        ),
        migrations.AddIndex(
            model_name="stop",
            index=models.Index(
                condition=models.Q(
                    ("finished_at__isnull", True),
                    models.Q(("lifted_at__isnull", True), ("pauses", True)),
                    _connector="OR",
                ),
                fields=["pressed_at"],
                name="stop_in_force",
            ),
        ),
        migrations.AddConstraint(
            model_name="stop",
            constraint=models.CheckConstraint(
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
        ),
        migrations.AddConstraint(
            model_name="stop",
            constraint=models.CheckConstraint(
                condition=models.Q(("lifted_at__isnull", True), ("pauses", True), _connector="OR"),
                name="stop_lifts_only_a_pause",
            ),
        ),
        migrations.AddConstraint(
            model_name="stop",
            constraint=models.UniqueConstraint(
                condition=models.Q(("finished_at__isnull", True)),
                fields=("person",),
                name="stop_one_unfinished_per_person",
            ),
        ),
        migrations.AddConstraint(
            model_name="stop",
            constraint=models.UniqueConstraint(
                condition=models.Q(("finished_at__isnull", True)),
                fields=("account",),
                name="stop_one_unfinished_per_account",
            ),
        ),
        migrations.AddConstraint(
            model_name="stop",
            constraint=models.UniqueConstraint(
                condition=models.Q(("finished_at__isnull", True)),
                fields=("pair",),
                name="stop_one_unfinished_per_pair",
            ),
        ),
        migrations.AddConstraint(
            model_name="stop",
            constraint=models.UniqueConstraint(
                condition=models.Q(("finished_at__isnull", True), ("scope", "everything")),
                fields=("scope",),
                name="stop_one_unfinished_for_everything",
            ),
        ),
        enforce(*RULES),
    ]
