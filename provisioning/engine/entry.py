"""Entering accounts: one session for each operation, narrowed to what the operation is about."""

from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from accounts.models import AccountPair, AwsAccount
from provisioning.aws.sessions import AccountSession, Provisioner, assume
from provisioning.core import documents, naming
from provisioning.core.plan import GrantSpec, GroupSpec
from provisioning.core.steps import Side

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient


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


def enter_for_scan(account: AwsAccount) -> AccountSession:
    """A session in any account that can read its IAM configuration and do nothing else."""
    policy = documents.scan_session_policy()
    return assume(provisioner(account), session_name="sallyport-scan", policy=policy)


def enter_to_cut_back(account: AwsAccount, group: str) -> AccountSession:
    """A session in a source account that can only take away from one switch group."""
    arn = naming.group_arn(account.partition, account.account_id, group)
    policy = documents.cut_back_session_policy(group_arn=arn)
    return assume(provisioner(account), session_name="sallyport-drift", policy=policy)


def enter_to_remove(account: AwsAccount, role: str) -> AccountSession:
    """A session in a target account that can only remove one role."""
    arn = naming.role_arn(account.partition, account.account_id, role)
    policy = documents.removal_session_policy(role_arn=arn)
    return assume(provisioner(account), session_name="sallyport-drift", policy=policy)


ENTER = {Side.SOURCE: enter_source, Side.TARGET: enter_target}
THREADS = 4
"""Enough to enter both accounts and to ask two things at once in the source."""


class Doors:
    """Both accounts of a grant, entered beside each other for one operation.

    Use it in a `with` statement: at its end all threads are done and all clients without keys.
    Threads call AWS and nothing else; the database belongs to the thread that opened the doors.
    """

    def __init__(self, pair: AccountPair, spec: GrantSpec) -> None:
        self._pair, self._spec = pair, spec
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="sallyport-aws")
        self._sessions: dict[Side, Future[AccountSession]] = {}

    @property
    def beside(self) -> Executor:
        """Threads for calls beside the caller's own."""
        return self._threads

    def open(self, side: Side) -> None:
        """Begin to enter an account, without waiting for the answer. Twice does no harm."""
        if side not in self._sessions:
            self._sessions[side] = self._threads.submit(ENTER[side], self._pair, self._spec)

    def client(self, side: Side) -> "IAMClient":
        """The IAM client of one side, once it is entered. Raises AwsError."""
        self.open(side)
        return self._sessions[side].result().client

    def throttled(self, side: Side) -> int:
        """How many answers of an account said that it was asked too fast."""
        session = self._sessions.get(side)
        if session is None or not session.done() or session.exception() is not None:
            return 0
        return session.result().tally.throttled

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._threads.shutdown(wait=True)
        for session in self._sessions.values():
            # Whoever could not enter has nothing to give back; the error was told where it matters.
            with suppress(Exception):
                session.result().close()
