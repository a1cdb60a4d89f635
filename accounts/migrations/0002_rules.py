"""What the database refuses whoever asks: rules of the registry and of proposals."""

from django.db import migrations

from audit.triggers import Rule, enforce


def _changes(*columns: str) -> str:
    """Whether any of these columns, which are never null, changes."""
    return " OR ".join(f"NEW.{one} <> OLD.{one}" for one in columns)


def _changes_or_empties(*columns: str) -> str:
    """Whether any of these columns, which may be null, changes."""
    return " OR ".join(
        f"(NEW.{one} IS NULL) <> (OLD.{one} IS NULL) OR NEW.{one} <> OLD.{one}" for one in columns
    )


def _is_retired(table: str, key: str) -> str:
    """Whether this account or pair is retired, or about to be."""
    return f"EXISTS (SELECT 1 FROM {table} x WHERE x.id = {key} AND x.retiring_at IS NOT NULL)"


ALWAYS = "OLD.id IS NOT NULL"

REGISTRY = (
    Rule(
        name="profile_version_is_immutable",
        table="accounts_profileversion",
        events=("UPDATE", "DELETE"),
        refused_when=ALWAYS,
        message="a profile version never changes, add another one",
    ),
    Rule(
        name="account_id_is_immutable",
        table="accounts_awsaccount",
        events=("UPDATE",),
        refused_when=_changes("account_id", "partition", "external_id"),
        message="the id, the partition and the ExternalId of an account never change",
    ),
    Rule(
        name="pair_keeps_accounts_and_group",
        table="accounts_accountpair",
        events=("UPDATE",),
        refused_when=_changes("source_id", "target_id", "switch_group"),
        message="grants are read through their pair, register another one",
    ),
    Rule(
        name="pair_is_in_one_partition",
        table="accounts_accountpair",
        events=("INSERT", "UPDATE"),
        refused_when="""
            (SELECT a.partition FROM accounts_awsaccount a WHERE a.id = NEW.source_id) <>
            (SELECT a.partition FROM accounts_awsaccount a WHERE a.id = NEW.target_id)
        """,
        message="roles cannot be entered across partitions",
    ),
    Rule(
        name="pair_joins_accounts_in_use",
        table="accounts_accountpair",
        events=("INSERT",),
        refused_when=(
            f"{_is_retired('accounts_awsaccount', 'NEW.source_id')} "
            f"OR {_is_retired('accounts_awsaccount', 'NEW.target_id')}"
        ),
        message="a retired account takes no new pair",
    ),
    Rule(
        name="pair_retirement_is_final",
        table="accounts_accountpair",
        events=("UPDATE",),
        refused_when="""
            (OLD.retiring_at IS NOT NULL AND NEW.retiring_at IS NULL)
            OR (OLD.retired_at IS NOT NULL AND NEW.retired_at IS NULL)
            OR (NEW.retired_at IS NOT NULL AND NEW.retiring_at IS NULL)
        """,
        message="a retired pair stays retired, register it anew",
    ),
    Rule(
        name="offer_keeps_pair_and_profile",
        table="accounts_offer",
        events=("UPDATE",),
        refused_when=_changes("pair_id", "profile_id"),
        message="grants are read through their offer, make another one",
    ),
    Rule(
        name="offer_is_on_a_pair_in_use",
        table="accounts_offer",
        events=("INSERT", "UPDATE"),
        refused_when=f"NEW.is_active AND {_is_retired('accounts_accountpair', 'NEW.pair_id')}",
        message="a retired pair takes no offer",
    ),
    Rule(
        name="identity_keeps_its_names",
        table="accounts_iamidentity",
        events=("UPDATE",),
        refused_when=_changes("person_id", "account_id", "user_name"),
        message="names of roles follow from it, link another one",
    ),
    Rule(
        name="identity_is_in_an_account_in_use",
        table="accounts_iamidentity",
        events=("INSERT",),
        refused_when=_is_retired("accounts_awsaccount", "NEW.account_id"),
        message="a retired account takes no identity",
    ),
    Rule(
        name="identity_keeps_its_origin",
        table="accounts_iamidentity",
        events=("UPDATE",),
        refused_when="""
            NEW.created_by_portal <> OLD.created_by_portal
            OR (OLD.removed_at IS NOT NULL AND NEW.removed_at IS NULL)
        """,
        message="an IAM user that existed before never becomes ours, and gone is gone",
    ),
)

PROPOSALS = (
    Rule(
        name="proposal_begins_open",
        table="accounts_proposal",
        events=("INSERT",),
        refused_when="NEW.state <> 'open'",
        message="a proposal is open first",
    ),
    Rule(
        name="proposal_moves_once",
        table="accounts_proposal",
        events=("UPDATE",),
        refused_when="OLD.state <> 'open'",
        message="what was decided about a proposal never changes",
    ),
    Rule(
        name="proposal_keeps_its_content",
        table="accounts_proposal",
        events=("UPDATE",),
        refused_when=" OR ".join(
            (
                _changes("kind", "about", "title"),
                _changes_or_empties('"before"'),
                _changes('"after"', "differences", "fingerprint", "reason"),
                _changes("proposed_at", "lapses_at"),
                _changes_or_empties("proposed_by_id"),
            )
        ),
        message="what was proposed never changes, propose it anew",
    ),
    Rule(
        name="proposal_is_never_deleted",
        table="accounts_proposal",
        events=("DELETE",),
        refused_when=ALWAYS,
        message="proposals stay, because events name them",
    ),
    Rule(
        name="proposal_is_decided_by_an_admin",
        table="accounts_proposal",
        events=("UPDATE",),
        refused_when="""
            NEW.state IN ('confirmed', 'rejected') AND NOT EXISTS (
                SELECT 1 FROM accounts_user u
                WHERE u.id = NEW.decided_by_id AND u.role = 'admin' AND u.is_active)
        """,
        message="only an admin who can sign in confirms or rejects",
    ),
    Rule(
        name="second_admin_begins_unset_or_on",
        table="accounts_secondadmin",
        events=("INSERT",),
        refused_when="NEW.state = 'off'",
        message="only a confirmed proposal switches it off",
    ),
    Rule(
        name="second_admin_is_switched_off_by_two",
        table="accounts_secondadmin",
        events=("UPDATE",),
        refused_when="""
            NEW.state = 'off' AND OLD.state <> 'off' AND NOT EXISTS (
                SELECT 1 FROM accounts_proposal p
                WHERE p.id = NEW.switched_off_by_id AND p.kind = 'second_admin'
                AND p.state = 'confirmed' AND p.decided_at >= OLD.changed_at)
        """,
        message="only a confirmed proposal switches it off",
    ),
    Rule(
        name="second_admin_is_never_forgotten",
        table="accounts_secondadmin",
        events=("UPDATE",),
        refused_when="NEW.state = 'unset' AND OLD.state <> 'unset'",
        message="once decided, it is on or off",
    ),
    Rule(
        name="second_admin_is_never_deleted",
        table="accounts_secondadmin",
        events=("DELETE",),
        refused_when=ALWAYS,
        message="the rule stays, on or off",
    ),
)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial"), ("audit", "0001_initial")]

    operations = [enforce(*REGISTRY, *PROPOSALS)]
