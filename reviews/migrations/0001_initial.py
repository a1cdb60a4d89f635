"""Access reviews and what they ask about: evidence, which moves one way."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

import accounts.aws_names
from audit.triggers import Rule, enforce

RULES = (
    Rule(
        name="review_begins_being_prepared",
        table="reviews_campaign",
        events=("INSERT",),
        refused_when="NEW.state <> 'preparing'",
        message="a review is being prepared first",
    ),
    Rule(
        name="review_moves_along_its_edges",
        table="reviews_campaign",
        events=("UPDATE",),
        refused_when=(
            "OLD.state = 'closed' OR (OLD.state = 'open' AND NEW.state = 'preparing') "
            "OR (OLD.state = 'preparing' AND NEW.state = 'closed')"
        ),
        message="preparing, open, closed, and then never again",
    ),
    Rule(
        name="review_keeps_what_it_is_about",
        table="reviews_campaign",
        events=("UPDATE",),
        refused_when=(
            "NEW.title <> OLD.title OR NEW.scope <> OLD.scope "
            "OR NEW.due_at <> OLD.due_at OR NEW.created_by_id <> OLD.created_by_id "
            "OR NEW.remove_on_timeout <> OLD.remove_on_timeout "
            "OR COALESCE(NEW.account_id, 0) <> COALESCE(OLD.account_id, 0) "
            "OR COALESCE(NEW.pair_id, 0) <> COALESCE(OLD.pair_id, 0) "
            "OR COALESCE(NEW.profile_id, 0) <> COALESCE(OLD.profile_id, 0)"
        ),
        message="what a review asks about and until when never changes",
    ),
    Rule(
        name="review_is_never_deleted",
        table="reviews_campaign",
        events=("DELETE",),
        refused_when="OLD.id IS NOT NULL",
        message="reviews are evidence",
    ),
    Rule(
        name="review_item_is_made_first",
        table="reviews_item",
        events=("INSERT",),
        refused_when=(
            "NEW.decision <> 'open' OR (SELECT c.state FROM reviews_campaign c "
            "WHERE c.id = NEW.campaign_id) <> 'preparing'"
        ),
        message="items are made while a review is being prepared",
    ),
    Rule(
        name="review_closed_item_never_changes",
        table="reviews_item",
        events=("UPDATE",),
        refused_when=(
            "(SELECT c.state FROM reviews_campaign c WHERE c.id = OLD.campaign_id) <> 'open'"
        ),
        message="items are decided while their review is open",
    ),
    Rule(
        name="review_item_moves_along_its_edges",
        table="reviews_item",
        events=("UPDATE",),
        refused_when=(
            "OLD.decision IN ('remove', 'unanswered') "
            "OR (OLD.decision = 'keep' AND NEW.decision <> 'remove')"
        ),
        message="what was kept may still be removed, and nothing else changes",
    ),
    Rule(
        name="review_item_keeps_what_it_is_about",
        table="reviews_item",
        events=("UPDATE",),
        refused_when=(
            "NEW.campaign_id <> OLD.campaign_id OR NEW.kind <> OLD.kind "
            "OR NEW.person_id <> OLD.person_id OR NEW.username <> OLD.username "
            "OR NEW.label <> OLD.label OR NEW.what <> OLD.what "
            "OR NEW.takes_a_decider <> OLD.takes_a_decider "
            "OR NEW.reviewer_id <> OLD.reviewer_id "
            "OR COALESCE(NEW.offer_id, 0) <> COALESCE(OLD.offer_id, 0) "
            "OR COALESCE(NEW.group_id, 0) <> COALESCE(OLD.group_id, 0) "
            "OR COALESCE(NEW.grant_id, 0) <> COALESCE(OLD.grant_id, 0)"
        ),
        message="what an item asks about never changes",
    ),
    Rule(
        name="review_item_is_never_deleted",
        table="reviews_item",
        events=("DELETE",),
        refused_when="OLD.id IS NOT NULL",
        message="items are evidence",
    ),
)


class Migration(migrations.Migration):
    # Installations of the development version have taken these.
    replaces = [("reviews", "0001_reviews")]

    initial = True

    dependencies = [
        ("accounts", "0001_initial"),
        ("audit", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("provisioning", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Campaign",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "title",
                    models.CharField(
                        max_length=120, validators=[accounts.aws_names.validate_one_line]
                    ),
                ),
                (
                    "scope",
                    models.CharField(
                        choices=[
                            ("everything", "Everything"),
                            ("account", "One AWS account"),
                            ("pair", "One account pair"),
                            ("profile", "One access profile"),
                        ],
                        default="everything",
                        max_length=10,
                    ),
                ),
                ("due_at", models.DateTimeField()),
                (
                    "remove_on_timeout",
                    models.BooleanField(
                        default=False, verbose_name="remove what nobody answers in time"
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("preparing", "Being prepared"),
                            ("open", "Open"),
                            ("closed", "Closed"),
                        ],
                        default="preparing",
                        max_length=10,
                    ),
                ),
                ("prepared", models.JSONField(blank=True, default=list)),
                ("next_step_at", models.DateTimeField(blank=True, null=True)),
                ("closed_at", models.DateTimeField(blank=True, null=True)),
                ("closed_by", models.CharField(blank=True, max_length=150)),
                ("content_hash", models.CharField(blank=True, max_length=64)),
                (
                    "account",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.awsaccount",
                    ),
                ),
                (
                    "created_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "pair",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.accountpair",
                    ),
                ),
                (
                    "profile",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.accessprofile",
                    ),
                ),
                (
                    "reviewers",
                    models.ManyToManyField(related_name="reviews", to=settings.AUTH_USER_MODEL),
                ),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [models.Index(fields=["next_step_at"], name="review_next_step")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["preparing", "open", "closed"])),
                        name="review_state_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("account__isnull", True),
                                ("pair__isnull", True),
                                ("profile__isnull", True),
                                ("scope", "everything"),
                            ),
                            models.Q(
                                ("account__isnull", False),
                                ("pair__isnull", True),
                                ("profile__isnull", True),
                                ("scope", "account"),
                            ),
                            models.Q(
                                ("account__isnull", True),
                                ("pair__isnull", False),
                                ("profile__isnull", True),
                                ("scope", "pair"),
                            ),
                            models.Q(
                                ("account__isnull", True),
                                ("pair__isnull", True),
                                ("profile__isnull", False),
                                ("scope", "profile"),
                            ),
                            _connector="OR",
                        ),
                        name="review_scope_is_one_thing",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("closed_at__isnull", False),
                                ("next_step_at__isnull", True),
                                ("state", "closed"),
                                models.Q(("content_hash", ""), _negated=True),
                            ),
                            models.Q(
                                models.Q(("state", "closed"), _negated=True),
                                ("closed_at__isnull", True),
                                ("content_hash", ""),
                            ),
                            _connector="OR",
                        ),
                        name="review_closed_is_whole",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Item",
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
                            ("asks", "May ask"),
                            ("decides", "Decides"),
                            ("member", "Member of a group"),
                            ("live", "Has access now"),
                        ],
                        max_length=10,
                    ),
                ),
                ("username", models.CharField(max_length=150)),
                ("label", models.CharField(max_length=310)),
                ("what", models.TextField()),
                ("takes_a_decider", models.BooleanField(default=False)),
                (
                    "decision",
                    models.CharField(
                        choices=[
                            ("open", "Waiting"),
                            ("keep", "Kept"),
                            ("remove", "Removed"),
                            ("unanswered", "Not answered"),
                        ],
                        default="open",
                        max_length=10,
                    ),
                ),
                ("decided_at", models.DateTimeField(null=True)),
                ("reason", models.CharField(blank=True, max_length=500)),
                ("outcome", models.CharField(blank=True, max_length=300)),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="items",
                        to="reviews.campaign",
                    ),
                ),
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
                    "grant",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="provisioning.grant",
                    ),
                ),
                (
                    "group",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="auth.group",
                    ),
                ),
                (
                    "offer",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.offer",
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "reviewer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="review_items",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
                "indexes": [
                    models.Index(
                        fields=["campaign", "decision", "id"], name="review_item_decision"
                    ),
                    models.Index(
                        condition=models.Q(("decision", "open")),
                        fields=["reviewer"],
                        name="review_item_waiting",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("kind__in", ["asks", "decides"])),
                        fields=("campaign", "kind", "person", "offer"),
                        name="review_offer_is_asked_once",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("kind", "member")),
                        fields=("campaign", "person", "group"),
                        name="review_member_is_asked_once",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("kind", "live")),
                        fields=("campaign", "grant"),
                        name="review_grant_is_asked_once",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("grant__isnull", True),
                                ("group__isnull", True),
                                ("kind__in", ["asks", "decides"]),
                                ("offer__isnull", False),
                            ),
                            models.Q(
                                ("grant__isnull", True),
                                ("group__isnull", False),
                                ("kind", "member"),
                                ("offer__isnull", True),
                            ),
                            models.Q(
                                ("grant__isnull", False),
                                ("group__isnull", True),
                                ("kind", "live"),
                                ("offer__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="review_item_is_about_one_thing",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("decision__in", ["open", "keep", "remove", "unanswered"])
                        ),
                        name="review_decision_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["asks", "decides", "member", "live"])),
                        name="review_item_kind_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("reviewer", models.F("person")), _negated=True),
                            models.Q(
                                ("decided_by__isnull", True),
                                models.Q(("decided_by", models.F("person")), _negated=True),
                                _connector="OR",
                            ),
                        ),
                        name="review_nobody_reviews_themselves",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("decided_at__isnull", True),
                                ("decided_by__isnull", True),
                                ("decision", "open"),
                            ),
                            models.Q(
                                ("decided_at__isnull", False),
                                ("decided_by__isnull", False),
                                ("decision", "keep"),
                            ),
                            models.Q(("decided_at__isnull", False), ("decision", "remove")),
                            models.Q(
                                ("decided_at__isnull", False),
                                ("decided_by__isnull", True),
                                ("decision", "unanswered"),
                            ),
                            _connector="OR",
                        ),
                        name="review_decision_is_whole",
                    ),
                ],
            },
        ),
        enforce(*RULES),
    ]
