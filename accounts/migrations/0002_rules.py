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
                name="pair_keeps_accounts_and_group",
                table="accounts_accountpair",
                events=("UPDATE",),
                refused_when=(
                    "NEW.source_id <> OLD.source_id OR NEW.target_id <> OLD.target_id "
                    "OR NEW.switch_group <> OLD.switch_group"
                ),
                message="grants are read through their pair, register another one",
            ),
            Rule(
                name="offer_keeps_pair_and_profile",
                table="accounts_offer",
                events=("UPDATE",),
                refused_when="NEW.pair_id <> OLD.pair_id OR NEW.profile_id <> OLD.profile_id",
                message="grants are read through their offer, make another one",
            ),
            Rule(
                name="identity_keeps_its_names",
                table="accounts_iamidentity",
                events=("UPDATE",),
                refused_when=(
                    "NEW.person_id <> OLD.person_id OR NEW.account_id <> OLD.account_id "
                    "OR NEW.user_name <> OLD.user_name"
                ),
                message="names of roles follow from it, link another one",
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
