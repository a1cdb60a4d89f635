"""The holder is told once, shortly before the end."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("provisioning", "0014_break_glass")]

    operations = [
        migrations.AddField("grant", "ends_soon_for", models.DateTimeField(null=True)),
    ]
