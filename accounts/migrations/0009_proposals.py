"""Changes that widen access wait for a second admin, and whether they have to."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

from audit.triggers import Rule, enforce


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0008_approvers_are_in_stages"),
        ("audit", "0001_audit_events"),
    ]

    operations = [
        migrations.CreateModel(
            name="Proposal",
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
                            ("offer", "offer"),
                            ("profile", "profile"),
                            ("group", "group"),
                            ("person", "person"),
                            ("second_admin", "second_admin"),
                        ],
                        max_length=20,
                    ),
                ),
                ("about", models.CharField(max_length=128)),
                ("title", models.CharField(max_length=300)),
                ("before", models.JSONField(null=True)),
                ("after", models.JSONField()),
                ("differences", models.JSONField()),
                ("fingerprint", models.CharField(max_length=64)),
                ("reason", models.TextField(blank=True)),
                (
                    "proposed_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("lapses_at", models.DateTimeField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("confirmed", "Confirmed"),
                            ("rejected", "Rejected"),
                            ("withdrawn", "Withdrawn"),
                            ("lapsed", "Lapsed"),
                        ],
                        default="open",
                        max_length=10,
                    ),
                ),
                ("decided_at", models.DateTimeField(null=True)),
                ("decision_reason", models.TextField(blank=True)),
                (
                    "decided_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "proposed_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="proposals",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="SecondAdmin",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[("unset", "Not yet"), ("on", "On"), ("off", "Off")],
                        default="unset",
                        max_length=5,
                    ),
                ),
                ("changed_at", models.DateTimeField(null=True)),
                (
                    "switched_off_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.proposal",
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="proposal",
            index=models.Index(fields=["state", "lapses_at"], name="proposal_state"),
        ),
        migrations.AddConstraint(
            model_name="proposal",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "open")),
                fields=("about",),
                name="proposal_one_open_per_subject",
                violation_error_message="A change of this is proposed already. Decide on that one, or withdraw it.",
            ),
        ),
        migrations.AddConstraint(
            model_name="proposal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("state__in", ["open", "confirmed", "rejected", "withdrawn", "lapsed"])
                ),
                name="proposal_state_is_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="proposal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("kind__in", ["offer", "profile", "group", "person", "second_admin"])
                ),
                name="proposal_kind_is_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="proposal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state__in", ["confirmed", "rejected"]), _negated=True),
                    ("proposed_by__isnull", True),
                    models.Q(("decided_by", models.F("proposed_by")), _negated=True),
                    _connector="OR",
                ),
                name="proposal_needs_a_second_admin",
            ),
        ),
        migrations.AddConstraint(
            model_name="proposal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "withdrawn"), _negated=True),
                    ("decided_by", models.F("proposed_by")),
                    _connector="OR",
                ),
                name="proposal_is_withdrawn_by_its_proposer",
            ),
        ),
        migrations.AddConstraint(
            model_name="proposal",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("decided_at__isnull", True),
                        ("decided_by__isnull", True),
                        ("state", "open"),
                    ),
                    models.Q(
                        ("decided_at__isnull", False),
                        ("decided_by__isnull", True),
                        ("state", "lapsed"),
                    ),
                    models.Q(
                        ("state__in", ["confirmed", "rejected", "withdrawn"]),
                        ("decided_at__isnull", False),
                        ("decided_by__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="proposal_decision_is_whole",
            ),
        ),
        migrations.AddConstraint(
            model_name="secondadmin",
            constraint=models.CheckConstraint(
                condition=models.Q(("pk", 1)), name="second_admin_is_one_row"
            ),
        ),
        migrations.AddConstraint(
            model_name="secondadmin",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["unset", "on", "off"])),
                name="second_admin_state_is_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="secondadmin",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "off"), ("switched_off_by__isnull", False)),
                    models.Q(
                        models.Q(("state", "off"), _negated=True), ("switched_off_by__isnull", True)
                    ),
                    _connector="OR",
                ),
                name="second_admin_is_switched_off_by_a_proposal",
            ),
        ),
        enforce(
            Rule(
                name="proposal_begins_open",
                table="accounts_proposal",
                events=("INSERT",),
                refused_when="NEW.state <> 'open'",
                message="a proposal is open first",
            ),
            Rule(
                name="proposal_moves_once",
                table="accounts_proposal",
                events=("UPDATE",),
                refused_when="OLD.state <> 'open'",
                message="what was decided about a proposal never changes",
            ),
            Rule(
                name="proposal_keeps_its_content",
                table="accounts_proposal",
                events=("UPDATE",),
                refused_when=(
                    "NEW.kind <> OLD.kind OR NEW.about <> OLD.about OR NEW.title <> OLD.title "
                    'OR (NEW."before" IS NULL) <> (OLD."before" IS NULL) '
                    'OR NEW."before" <> OLD."before" OR NEW."after" <> OLD."after" '
                    "OR NEW.differences <> OLD.differences OR NEW.fingerprint <> OLD.fingerprint "
                    "OR NEW.reason <> OLD.reason OR NEW.proposed_at <> OLD.proposed_at "
                    "OR NEW.lapses_at <> OLD.lapses_at "
                    "OR (NEW.proposed_by_id IS NULL) <> (OLD.proposed_by_id IS NULL) "
                    "OR NEW.proposed_by_id <> OLD.proposed_by_id"
                ),
                message="what was proposed never changes, propose it anew",
            ),
            Rule(
                name="proposal_is_never_deleted",
                table="accounts_proposal",
                events=("DELETE",),
                refused_when="OLD.id IS NOT NULL",
                message="proposals stay, because events name them",
            ),
            Rule(
                name="proposal_is_decided_by_an_admin",
                table="accounts_proposal",
                events=("UPDATE",),
                refused_when=(
                    "NEW.state IN ('confirmed', 'rejected') AND NOT EXISTS (SELECT 1 "
                    "FROM accounts_user u WHERE u.id = NEW.decided_by_id AND u.role = 'admin' "
                    "AND u.is_active)"
                ),
                message="only an admin who can sign in confirms or rejects",
            ),
            Rule(
                name="second_admin_begins_unset_or_on",
                table="accounts_secondadmin",
                events=("INSERT",),
                refused_when="NEW.state = 'off'",
                message="only a confirmed proposal switches it off",
            ),
            Rule(
                name="second_admin_is_switched_off_by_two",
                table="accounts_secondadmin",
                events=("UPDATE",),
                refused_when=(
                    "NEW.state = 'off' AND OLD.state <> 'off' AND NOT EXISTS (SELECT 1 "
                    "FROM accounts_proposal p WHERE p.id = NEW.switched_off_by_id "
                    "AND p.kind = 'second_admin' AND p.state = 'confirmed' "
                    "AND p.decided_at >= OLD.changed_at)"
                ),
                message="only a confirmed proposal switches it off",
            ),
            Rule(
                name="second_admin_is_never_forgotten",
                table="accounts_secondadmin",
                events=("UPDATE",),
                refused_when="NEW.state = 'unset' AND OLD.state <> 'unset'",
                message="once decided, it is on or off",
            ),
            Rule(
                name="second_admin_is_never_deleted",
                table="accounts_secondadmin",
                events=("DELETE",),
                refused_when="OLD.id IS NOT NULL",
                message="the rule stays, on or off",
            ),
        ),
    ]
