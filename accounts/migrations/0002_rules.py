"""Rules of the registry that no CHECK can say."""

from django.db import migrations

from audit.triggers import Rule, enforce


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_registry"), ("audit", "0001_audit_events")]

    operations = [
        enforce(
            Rule(
                name="profile_version_is_immutable",
                table="accounts_profileversion",
                events=("UPDATE", "DELETE"),
                refused_when="OLD.id IS NOT NULL",
                message="a profile version never changes, add another one",
            ),
            Rule(
                name="account_id_is_immutable",
                table="accounts_awsaccount",
                events=("UPDATE",),
                refused_when=(
                    "NEW.account_id <> OLD.account_id OR NEW.partition <> OLD.partition "
                    "OR NEW.external_id <> OLD.external_id"
                ),
                message="the id, the partition and the ExternalId of an account never change",
            ),
            Rule(
                name="pair_is_in_one_partition",
                table="accounts_accountpair",
                events=("INSERT", "UPDATE"),
                refused_when=(
                    "(SELECT a.partition FROM accounts_awsaccount a WHERE a.id = NEW.source_id) <> "
                    "(SELECT a.partition FROM accounts_awsaccount a WHERE a.id = NEW.target_id)"
                ),
                message="roles cannot be entered across partitions",
            ),
        )
    ]
