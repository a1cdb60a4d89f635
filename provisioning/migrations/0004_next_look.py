"""A request says when its plan is to be tried next, so that a failed or old look is repeated."""

from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    dependencies = [("provisioning", "0003_grant_reopened")]

    operations = [
        migrations.AddField(
            "accessrequest",
            "next_look_at",
            models.DateTimeField(db_default=Now(), editable=False, null=True),
        ),
        migrations.AddField(
            "accessrequest",
            "looks_failed",
            models.PositiveSmallIntegerField(default=0, editable=False),
        ),
    ]
