"""What happened before there were notices is told to nobody."""

from django.db import migrations
from django.db.models import Max


def begin(apps, editor):
    last = apps.get_model("audit", "AuditEvent").objects.aggregate(last=Max("pk"))["last"]
    apps.get_model("notices", "Reading").objects.create(pk=1, after=last or 0)


class Migration(migrations.Migration):
    dependencies = [("notices", "0001_initial"), ("audit", "0002_append_only")]

    operations = [migrations.RunPython(begin, migrations.RunPython.noop)]
