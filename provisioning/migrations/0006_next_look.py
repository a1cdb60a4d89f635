"""A request says when its plan is to be tried next, so that a failed or old look is repeated."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("provisioning", "0005_life_cycle")]

    operations = [
        # Nullable and without a default: SQLite would make the table anew for anything else, and
        # the triggers of other tables that read it would stand in the way.
        migrations.AddField(
            "accessrequest",
            "next_look_at",
            models.DateTimeField(blank=True, editable=False, null=True),
        ),
    ]
