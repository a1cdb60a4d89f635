"""Events are appended and never changed."""

from django.db import migrations

from audit.triggers import Rule, enforce


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]

    operations = [
        enforce(
            Rule(
                name="audit_event_is_append_only",
                table="audit_auditevent",
                events=("UPDATE", "DELETE"),
                refused_when="OLD.id IS NOT NULL",
                message="audit events are never changed or removed",
            )
        )
    ]
