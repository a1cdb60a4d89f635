"""Entering accounts: one session for each operation, narrowed to what the operation is about."""

from accounts.models import AccountPair, AwsAccount
from provisioning.aws.sessions import AccountSession, Provisioner, assume
from provisioning.core import documents, naming
from provisioning.core.plan import GrantSpec, GroupSpec


def provisioner(account: AwsAccount) -> Provisioner:
    """How to enter an account."""
    return Provisioner(
        account.account_id, account.region, account.provisioner_role_arn, account.external_id
    )


def enter_source(pair: AccountPair, spec: GrantSpec) -> AccountSession:
    """A session in the source account, narrowed to this grant's group and user."""
    arn = naming.group_arn(spec.source.partition, spec.source.account_id, spec.switch_group)
    policy = documents.source_session_policy(
        group_arn=arn, user_arn=spec.user_arn, policy_arns=spec.group_policy_arns
    )
    return assume(
        provisioner(pair.source),
        session_name=naming.session_name(spec.code),
        policy=policy,
    )


def enter_target(pair: AccountPair, spec: GrantSpec) -> AccountSession:
    """A session in the target account, narrowed to this grant's role."""
    arn = naming.role_arn(spec.target.partition, spec.target.account_id, spec.role_name)
    policy = documents.target_session_policy(role_arn=arn, policy_arns=spec.role_policies)
    return assume(
        provisioner(pair.target),
        session_name=naming.session_name(spec.code),
        policy=policy,
    )


def look_into_source(pair: AccountPair, spec: GrantSpec) -> AccountSession:
    """A session in the source account that can only read, for the pre-flight of one request."""
    account = spec.source
    policy = documents.source_preview_policy(
        group_arn=naming.group_arn(account.partition, account.account_id, spec.switch_group),
        user_arn=spec.user_arn,
        policies_arn=naming.managed_policy_arn(account.partition, "*"),
    )
    name = naming.session_name(spec.code)
    return assume(provisioner(pair.source), session_name=name, policy=policy)


def look_into_target(pair: AccountPair, spec: GrantSpec) -> AccountSession:
    """A session in the target account that can only read, for the pre-flight of one request."""
    account = spec.target
    policy = documents.target_preview_policy(
        role_arn=naming.role_arn(account.partition, account.account_id, spec.role_name),
        boundary_arn=spec.boundary_arn,
        policies_arn=naming.managed_policy_arn(account.partition, "*"),
    )
    name = naming.session_name(spec.code)
    return assume(provisioner(pair.target), session_name=name, policy=policy)


def enter_for_group(account: AwsAccount, spec: GroupSpec, *, operation: str) -> AccountSession:
    """A session in a source account, narrowed to one switch group and to nobody's memberships."""
    arn = naming.group_arn(spec.source.partition, spec.source.account_id, spec.name)
    policy = documents.source_session_policy(group_arn=arn, policy_arns=spec.policy_arns)
    return assume(provisioner(account), session_name=naming.session_name(operation), policy=policy)
