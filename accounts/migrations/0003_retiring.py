"""Accounts and pairs can be retired: taken out of use for good, with their history kept."""

from django.db import migrations, models
from django.db.models import Q

from audit.triggers import Rule, enforce, keeping_rules

RETIRING = [
    ("retiring_at", models.DateTimeField(null=True, blank=True, editable=False)),
    ("retired_at", models.DateTimeField(null=True, blank=True, editable=False)),
    ("retired_by", models.CharField(max_length=150, blank=True, editable=False, default="")),
]


def _is_retired(table: str, key: str) -> str:
    rows = f"SELECT 1 FROM {table} x WHERE x.id = {key}"  # noqa: S608  # Constants of this file.
    return f"EXISTS ({rows} AND x.retiring_at IS NOT NULL)"


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_rules"), ("audit", "0001_audit_events")]

    operations = [
        *keeping_rules(
            *(
                migrations.AddField(
                    model, name, field.clone(), preserve_default=name != "retired_by"
                )
                for model in ("awsaccount", "accountpair")
                for name, field in RETIRING
            ),
            migrations.RemoveConstraint("accountpair", "pair_is_unique"),
            migrations.AddConstraint(
                "accountpair",
                models.UniqueConstraint(
                    fields=["source", "target"],
                    condition=Q(retired_at__isnull=True),
                    name="pair_is_unique",
                    violation_error_message="These two accounts are a pair already.",
                ),
            ),
        ),
        enforce(
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
                refused_when=(
                    "(OLD.retiring_at IS NOT NULL AND NEW.retiring_at IS NULL) "
                    "OR (OLD.retired_at IS NOT NULL AND NEW.retired_at IS NULL) "
                    "OR (NEW.retired_at IS NOT NULL AND NEW.retiring_at IS NULL)"
                ),
                message="a retired pair stays retired, register it anew",
            ),
            Rule(
                name="offer_is_on_a_pair_in_use",
                table="accounts_offer",
                events=("INSERT", "UPDATE"),
                refused_when=f"NEW.is_active AND {_is_retired('accounts_accountpair', 'NEW.pair_id')}",
                message="a retired pair takes no offer",
            ),
            Rule(
                name="identity_is_in_an_account_in_use",
                table="accounts_iamidentity",
                events=("INSERT",),
                refused_when=_is_retired("accounts_awsaccount", "NEW.account_id"),
                message="a retired account takes no identity",
            ),
        ),
    ]
