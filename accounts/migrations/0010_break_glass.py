"""An offer may let a group take access at once, in an emergency."""

import datetime

import django.db.models.deletion
from django.db import migrations, models

from audit.triggers import keeping_rules


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0001_audit_events"),
        ("accounts", "0009_proposals"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = keeping_rules(
        migrations.AddField(
            model_name="offer",
            name="break_glass_group",
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
            name="break_glass_longest",
            field=models.DurationField(
                blank=True, null=True, verbose_name="longest in an emergency"
            ),
        ),
        migrations.AddConstraint(
            model_name="offer",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("break_glass_group__isnull", True), ("break_glass_longest__isnull", True)
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
        ),
    )
