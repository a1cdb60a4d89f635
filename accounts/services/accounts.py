"""Use cases of AWS accounts."""

from django.db import transaction

from accounts.models import AwsAccount, User
from accounts.services.common import label_of, name_of, save_and_tell
from audit.clock import database_now


@transaction.atomic
def register_account(*, actor: User | str, account: AwsAccount) -> AwsAccount:
    """Register an AWS account. A worker checks its connection next."""
    save_and_tell(
        account,
        actor=name_of(actor),
        kind="account:registered",
        sentence=f"{label_of(actor)} registered {account}.",
        provisioner_role_arn=account.provisioner_role_arn,
        boundary_arn=account.boundary_arn,
    )
    return account


@transaction.atomic
def change_account(*, actor: User | str, account: AwsAccount) -> AwsAccount:
    """Change an account's name, roles or group policies. Id and partition never change.

    Workers bring the switch groups of its pairs into line next.
    """
    save_and_tell(
        account,
        actor=name_of(actor),
        kind="account:changed",
        sentence=f"{label_of(actor)} changed {account}.",
        provisioner_role_arn=account.provisioner_role_arn,
        boundary_arn=account.boundary_arn,
        group_policies=account.group_policies,
        may_create_users=account.may_create_users,
    )
    account.pairs_from.update(next_check_at=database_now())
    return account
