"""People, groups, the registry of accounts, pairs, profiles and offers, and proposals."""

import datetime

import django.contrib.auth.validators
import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.functions.text
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import accounts.aws_names
import accounts.models.people
import accounts.models.registry
import accounts.tickets


class Migration(migrations.Migration):
    # Installations of the development version have taken these.
    replaces = [
        ("accounts", "0001_registry"),
        ("accounts", "0003_retiring"),
        ("accounts", "0004_created_users"),
        ("accounts", "0005_approval_class"),
        ("accounts", "0006_check_failing_since"),
        ("accounts", "0007_catalogue"),
        ("accounts", "0008_approvers_are_in_stages"),
        ("accounts", "0009_proposals"),
        ("accounts", "0010_break_glass"),
        ("accounts", "0011_guess_counters"),
    ]

    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.CreateModel(
            name="User",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("password", models.CharField(max_length=128, verbose_name="password")),
                (
                    "last_login",
                    models.DateTimeField(blank=True, null=True, verbose_name="last login"),
                ),
                (
                    "is_superuser",
                    models.BooleanField(
                        default=False,
                        help_text="Designates that this user has all permissions without explicitly assigning them.",
                        verbose_name="superuser status",
                    ),
                ),
                (
                    "username",
                    models.CharField(
                        error_messages={"unique": "A user with that username already exists."},
                        help_text="Required. 150 characters or fewer. Letters, digits and @/./+/-/_ only.",
                        max_length=150,
                        unique=True,
                        validators=[django.contrib.auth.validators.UnicodeUsernameValidator()],
                        verbose_name="username",
                    ),
                ),
                (
                    "first_name",
                    models.CharField(blank=True, max_length=150, verbose_name="first name"),
                ),
                (
                    "last_name",
                    models.CharField(blank=True, max_length=150, verbose_name="last name"),
                ),
                (
                    "email",
                    models.EmailField(blank=True, max_length=254, verbose_name="email address"),
                ),
                (
                    "is_staff",
                    models.BooleanField(
                        default=False,
                        help_text="Designates whether the user can log into this admin site.",
                        verbose_name="staff status",
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(
                        default=True,
                        help_text="Designates whether this user should be treated as active. Unselect this instead of deleting accounts.",
                        verbose_name="active",
                    ),
                ),
                (
                    "date_joined",
                    models.DateTimeField(
                        default=django.utils.timezone.now, verbose_name="date joined"
                    ),
                ),
                (
                    "role",
                    models.CharField(
                        choices=[("member", "Member"), ("admin", "Admin"), ("auditor", "Auditor")],
                        default="member",
                        max_length=10,
                    ),
                ),
                (
                    "groups",
                    models.ManyToManyField(
                        blank=True,
                        help_text="The groups this user belongs to. A user will get all permissions granted to each of their groups.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.group",
                        verbose_name="groups",
                    ),
                ),
                (
                    "user_permissions",
                    models.ManyToManyField(
                        blank=True,
                        help_text="Specific permissions for this user.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.permission",
                        verbose_name="user permissions",
                    ),
                ),
            ],
            options={
                "verbose_name": "user",
                "verbose_name_plural": "users",
                "abstract": False,
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("role__in", ["member", "admin", "auditor"])),
                        name="user_role_is_known",
                    ),
                    models.UniqueConstraint(
                        django.db.models.functions.text.Lower("username"),
                        name="user_username_unique",
                        violation_error_message="Somebody has this user name already.",
                    ),
                ],
            },
            managers=[
                ("objects", accounts.models.people.PortalUserManager()),
            ],
        ),
        migrations.CreateModel(
            name="AccessProfile",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        max_length=60, validators=[accounts.aws_names.validate_one_line]
                    ),
                ),
                (
                    "description",
                    models.CharField(
                        blank=True,
                        max_length=300,
                        validators=[accounts.aws_names.validate_one_line],
                    ),
                ),
                (
                    "tone",
                    models.CharField(
                        choices=[
                            ("F2B0A9", "Red"),
                            ("FBBF93", "Orange"),
                            ("FAD791", "Yellow"),
                            ("B7CA9D", "Green"),
                            ("99BCE3", "Blue"),
                        ],
                        default="B7CA9D",
                        max_length=6,
                        verbose_name="colour",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
            ],
            options={
                "ordering": ["name"],
                "constraints": [
                    models.UniqueConstraint(
                        django.db.models.functions.text.Lower("name"),
                        name="profile_name_unique",
                        violation_error_message="Another profile has this name already.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("tone__in", ["F2B0A9", "FBBF93", "FAD791", "B7CA9D", "99BCE3"])
                        ),
                        name="profile_tone_is_of_the_palette",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="AwsAccount",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("retiring_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("retired_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("retired_by", models.CharField(blank=True, editable=False, max_length=150)),
                (
                    "account_id",
                    models.CharField(
                        error_messages={"unique": "This account is registered already."},
                        max_length=12,
                        unique=True,
                        validators=[accounts.aws_names.validate_account_id],
                        verbose_name="account id",
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        max_length=50, validators=[accounts.aws_names.validate_one_line]
                    ),
                ),
                (
                    "alias",
                    models.CharField(
                        blank=True,
                        default="",
                        max_length=63,
                        validators=[accounts.aws_names.validate_account_alias],
                        verbose_name="account alias",
                    ),
                ),
                (
                    "partition",
                    models.CharField(
                        choices=[
                            ("aws", "AWS (commercial)"),
                            ("aws-us-gov", "AWS GovCloud (US)"),
                            ("aws-cn", "AWS China"),
                            ("aws-eusc", "AWS European Sovereign Cloud"),
                        ],
                        default="aws",
                        max_length=10,
                    ),
                ),
                (
                    "provisioner_role_arn",
                    models.CharField(
                        max_length=640,
                        validators=[accounts.aws_names.validate_role_arn],
                        verbose_name="provisioner role",
                    ),
                ),
                (
                    "boundary_arn",
                    models.CharField(
                        max_length=640,
                        validators=[accounts.aws_names.validate_policy_arn],
                        verbose_name="boundary policy",
                    ),
                ),
                (
                    "external_id",
                    models.CharField(
                        default=accounts.models.registry.new_external_id,
                        editable=False,
                        max_length=64,
                        unique=True,
                        verbose_name="external id",
                    ),
                ),
                ("group_policies", models.JSONField(blank=True, default=list)),
                (
                    "may_create_users",
                    models.BooleanField(
                        default=False, verbose_name="Sallyport may create IAM users here"
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
            ],
            options={
                "ordering": ["name"],
                "constraints": [
                    models.UniqueConstraint(
                        django.db.models.functions.text.Lower("name"),
                        name="account_name_unique",
                        violation_error_message="Another account has this name already.",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("alias", ""), _negated=True),
                        fields=("partition", "alias"),
                        name="account_alias_unique",
                        violation_error_message="Another account has this alias already.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("account_id__regex", "^[0-9]{12}$")),
                        name="account_id_is_12_digits",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("partition__in", ["aws", "aws-us-gov", "aws-cn", "aws-eusc"])
                        ),
                        name="account_partition_is_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="AccountPair",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("retiring_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("retired_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("retired_by", models.CharField(blank=True, editable=False, max_length=150)),
                (
                    "switch_group",
                    models.CharField(
                        max_length=100, validators=[accounts.aws_names.validate_group_name]
                    ),
                ),
                ("prepared_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "next_check_at",
                    models.DateTimeField(
                        blank=True,
                        db_default=django.db.models.functions.datetime.Now(),
                        editable=False,
                        null=True,
                    ),
                ),
                ("last_error", models.TextField(blank=True, editable=False)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="pairs_from",
                        to="accounts.awsaccount",
                    ),
                ),
                (
                    "target",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="pairs_to",
                        to="accounts.awsaccount",
                    ),
                ),
            ],
            options={
                "ordering": ["source__name", "target__name"],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("retired_at__isnull", True)),
                        fields=("source", "target"),
                        name="pair_is_unique",
                        violation_error_message="These two accounts are a pair already.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("source", models.F("target")), _negated=True),
                        name="pair_source_is_not_target",
                        violation_error_message="Source and target must be two accounts.",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ConnectionCheck",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("asked_by", models.CharField(max_length=150)),
                (
                    "asked_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                ("started_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("findings", models.JSONField(default=list)),
                ("failing_since", models.DateTimeField(null=True)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="checks",
                        to="accounts.awsaccount",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
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
        migrations.CreateModel(
            name="IamIdentity",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "user_name",
                    models.CharField(
                        max_length=64,
                        validators=[accounts.aws_names.validate_user_name],
                        verbose_name="IAM user",
                    ),
                ),
                ("arn", models.CharField(blank=True, editable=False, max_length=640)),
                ("unique_id", models.CharField(blank=True, editable=False, max_length=128)),
                ("verified_at", models.DateTimeField(editable=False, null=True)),
                (
                    "next_check_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(),
                        editable=False,
                        null=True,
                    ),
                ),
                ("last_error", models.TextField(blank=True, editable=False)),
                ("created_by_portal", models.BooleanField(default=False, editable=False)),
                ("remove_asked_at", models.DateTimeField(editable=False, null=True)),
                ("removed_at", models.DateTimeField(editable=False, null=True)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="identities",
                        to="accounts.awsaccount",
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="identities",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "IAM identity",
                "verbose_name_plural": "IAM identities",
                "ordering": ["account__name", "user_name"],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("account"),
                        django.db.models.functions.text.Lower("user_name"),
                        condition=models.Q(("removed_at__isnull", True)),
                        name="identity_iam_user_unique",
                        violation_error_message="Somebody else is this IAM user already.",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("removed_at__isnull", True)),
                        fields=("person", "account"),
                        name="identity_person_unique",
                        violation_error_message="This person has an IAM user in this account already.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("verified_at__isnull", True),
                            models.Q(
                                models.Q(("arn", ""), _negated=True),
                                models.Q(("unique_id", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="identity_verified_has_unique_id",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("remove_asked_at__isnull", True),
                            ("created_by_portal", True),
                            _connector="OR",
                        ),
                        name="identity_removes_only_what_we_created",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("removed_at__isnull", True),
                            models.Q(
                                ("next_check_at__isnull", True), ("remove_asked_at__isnull", False)
                            ),
                            _connector="OR",
                        ),
                        name="identity_removed_was_asked_for",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Offer",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "max_duration",
                    models.DurationField(
                        default=datetime.timedelta(seconds=14400), verbose_name="longest duration"
                    ),
                ),
                (
                    "default_duration",
                    models.DurationField(
                        default=datetime.timedelta(seconds=3600), verbose_name="usual duration"
                    ),
                ),
                (
                    "request_lifetime",
                    models.DurationField(
                        default=datetime.timedelta(days=1), verbose_name="requests wait for"
                    ),
                ),
                ("is_active", models.BooleanField(default=True, verbose_name="open for requests")),
                (
                    "is_listed",
                    models.BooleanField(default=False, verbose_name="shown to everybody"),
                ),
                (
                    "sensitivity",
                    models.CharField(
                        choices=[("low", "Low"), ("normal", "Normal"), ("high", "High")],
                        default="normal",
                        max_length=6,
                    ),
                ),
                (
                    "warning",
                    models.CharField(
                        blank=True,
                        max_length=300,
                        validators=[accounts.aws_names.validate_one_line],
                    ),
                ),
                (
                    "reason_prompt",
                    models.CharField(
                        blank=True,
                        max_length=120,
                        validators=[accounts.aws_names.validate_one_line],
                    ),
                ),
                (
                    "reason_example",
                    models.CharField(
                        blank=True,
                        max_length=200,
                        validators=[accounts.aws_names.validate_one_line],
                    ),
                ),
                (
                    "ticket_required",
                    models.BooleanField(default=False, verbose_name="a ticket is required"),
                ),
                (
                    "ticket_pattern",
                    models.CharField(
                        blank=True, max_length=100, validators=[accounts.tickets.validate_pattern]
                    ),
                ),
                (
                    "ticket_hint",
                    models.CharField(
                        blank=True,
                        max_length=120,
                        validators=[accounts.aws_names.validate_one_line],
                    ),
                ),
                (
                    "auto_approve",
                    models.BooleanField(default=False, verbose_name="approve by rule"),
                ),
                (
                    "auto_longest",
                    models.DurationField(blank=True, null=True, verbose_name="longest by rule"),
                ),
                ("auto_zone", models.CharField(blank=True, max_length=64)),
                ("auto_days", models.CharField(blank=True, max_length=7)),
                ("auto_from", models.TimeField(blank=True, null=True)),
                ("auto_until", models.TimeField(blank=True, null=True)),
                (
                    "break_glass_longest",
                    models.DurationField(
                        blank=True, null=True, verbose_name="longest in an emergency"
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "auto_group",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="auth.group",
                    ),
                ),
                (
                    "break_glass_group",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="auth.group",
                    ),
                ),
                (
                    "eligible_groups",
                    models.ManyToManyField(blank=True, related_name="+", to="auth.group"),
                ),
                (
                    "eligible_users",
                    models.ManyToManyField(
                        blank=True, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "pair",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="offers",
                        to="accounts.accountpair",
                    ),
                ),
                (
                    "profile",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="offers",
                        to="accounts.accessprofile",
                    ),
                ),
            ],
            options={
                "ordering": ["pair__target__name", "profile__name"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("pair", "profile"),
                        name="offer_is_unique",
                        violation_error_message="This profile is offered on this pair already.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("max_duration__gte", datetime.timedelta(seconds=300)),
                            ("max_duration__lte", datetime.timedelta(days=7)),
                        ),
                        name="offer_duration_within_bounds",
                        violation_error_message="The longest duration is between 5 minutes and 7 days.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("default_duration__gte", datetime.timedelta(seconds=300)),
                            ("default_duration__lte", datetime.timedelta(days=7)),
                        ),
                        name="offer_usual_duration_within_bounds",
                        violation_error_message="The usual duration is between 5 minutes and 7 days.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("request_lifetime__gte", datetime.timedelta(seconds=900)),
                            ("request_lifetime__lte", datetime.timedelta(days=14)),
                        ),
                        name="offer_wait_within_bounds",
                        violation_error_message="A request waits between 15 minutes and 14 days.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("sensitivity__in", ["low", "normal", "high"])),
                        name="offer_sensitivity_is_known",
                        violation_error_message="The sensitivity is low, normal or high.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("auto_approve", False), ("sensitivity", "low"), _connector="OR"
                        ),
                        name="offer_rule_needs_low_sensitivity",
                        violation_error_message="A rule approves only where the sensitivity is low.",
                    ),
                    models.CheckConstraint(
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
                    models.CheckConstraint(
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
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("break_glass_group__isnull", True),
                                ("break_glass_longest__isnull", True),
                            ),
                            models.Q(
                                ("break_glass_group__isnull", False),
                                ("break_glass_longest__gte", datetime.timedelta(seconds=300)),
                                ("break_glass_longest__isnull", False),
                                ("break_glass_longest__lt", models.F("max_duration")),
                            ),
                            _connector="OR",
                        ),
                        name="offer_break_glass_is_shorter",
                        violation_error_message="Break-glass needs a group and a longest duration: 5 minutes or more, and shorter than the longest duration of the offer.",
                    ),
                ],
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
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="favourites",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "offer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.offer",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("person", "offer"), name="favourite_is_unique")
                ],
            },
        ),
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
                ("groups", models.ManyToManyField(blank=True, related_name="+", to="auth.group")),
                (
                    "people",
                    models.ManyToManyField(
                        blank=True, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "offer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="stages",
                        to="accounts.offer",
                    ),
                ),
            ],
            options={
                "ordering": ["offer_id", "position"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("offer", "position"), name="stage_position_unique"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("position__gte", 1), ("position__lte", 3)),
                        name="stage_position_within_bounds",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("quorum__gte", 1), ("quorum__lte", 5)),
                        name="stage_quorum_within_bounds",
                        violation_error_message="In a stage 1 to 5 people approve.",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ProfileVersion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                (
                    "role_name",
                    models.CharField(
                        max_length=32, validators=[accounts.aws_names.validate_profile_role_name]
                    ),
                ),
                ("managed_policies", models.JSONField(blank=True, default=list)),
                ("inline_policy", models.JSONField(blank=True, null=True)),
                (
                    "session_duration",
                    models.DurationField(default=datetime.timedelta(seconds=3600)),
                ),
                ("require_mfa", models.BooleanField(default=True)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                ("created_by", models.CharField(max_length=150)),
                (
                    "profile",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="versions",
                        to="accounts.accessprofile",
                    ),
                ),
            ],
            options={
                "ordering": ["profile_id", "-number"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("profile", "number"), name="profile_version_unique"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("session_duration__gte", datetime.timedelta(seconds=3600)),
                            ("session_duration__lte", datetime.timedelta(seconds=43200)),
                        ),
                        name="profile_session_within_aws_bounds",
                    ),
                ],
            },
        ),
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
                "indexes": [models.Index(fields=["state", "lapses_at"], name="proposal_state")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state", "open")),
                        fields=("about",),
                        name="proposal_one_open_per_subject",
                        violation_error_message="A change of this is proposed already. Decide on that one, or withdraw it.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("state__in", ["open", "confirmed", "rejected", "withdrawn", "lapsed"])
                        ),
                        name="proposal_state_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("kind__in", ["offer", "profile", "group", "person", "second_admin"])
                        ),
                        name="proposal_kind_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state__in", ["confirmed", "rejected"]), _negated=True),
                            ("proposed_by__isnull", True),
                            models.Q(("decided_by", models.F("proposed_by")), _negated=True),
                            _connector="OR",
                        ),
                        name="proposal_needs_a_second_admin",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "withdrawn"), _negated=True),
                            ("decided_by", models.F("proposed_by")),
                            _connector="OR",
                        ),
                        name="proposal_is_withdrawn_by_its_proposer",
                    ),
                    models.CheckConstraint(
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
                ],
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
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("pk", 1)), name="second_admin_is_one_row"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["unset", "on", "off"])),
                        name="second_admin_state_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "off"), ("switched_off_by__isnull", False)),
                            models.Q(
                                models.Q(("state", "off"), _negated=True),
                                ("switched_off_by__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="second_admin_is_switched_off_by_a_proposal",
                    ),
                ],
            },
        ),
    ]
