"""*Check connection* and finding IAM users: what a worker does for the registry."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from accounts.models import AccountPair, AwsAccount, ConnectionCheck, IamIdentity
from audit.clock import database_now
from audit.models import append
from provisioning import lifecycle
from provisioning.aws import iam, inspect
from provisioning.aws.errors import AwsError
from provisioning.aws.sessions import AccountSession, assume
from provisioning.core import onboarding, user_policies
from provisioning.core.steps import Side
from provisioning.engine import pacing
from provisioning.engine.entry import provisioner
from provisioning.engine.failures import in_words

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

RETRY_CHECK = timedelta(minutes=2)
"""A check that was started so long ago has lost its worker and may be run again."""
KEPT_CHECKS: Final = 20
"""Finished checks that are kept of each account."""
AT_ONCE: Final = 2
"""Accounts that one round of a sweeper asks about again, so that not all come together."""
CALLS: Final = 14
"""What a connection check takes."""
RETRY_IDENTITY = timedelta(minutes=1)


@dataclass(frozen=True)
class Finding:
    """One thing that a check looked at. `ok` is None where it could not be tried."""

    key: str
    title: str
    ok: bool | None
    detail: str = ""
    mend: str = ""


def run_check(check_id: int) -> None:
    """Run one check, unless it is done or another worker is at it, and store what was found."""
    now = database_now()
    free = Q(started_at__isnull=True) | Q(started_at__lt=now - RETRY_CHECK)
    mine = ConnectionCheck.objects.filter(free, pk=check_id, finished_at__isnull=True)
    check = mine.select_related("account").first()
    if check is None or not pacing.has_room(check.account, CALLS):
        return
    if mine.update(started_at=database_now()) != 1:
        return
    findings = list(findings_of(check.account))
    with transaction.atomic():
        check.findings = [asdict(one) for one in findings]
        check.finished_at = database_now()
        check.failing_since = None if check.passed else _failing_since(check)
        check.save(update_fields=["findings", "finished_at", "failing_since"])
        _forget_old(check.account)
        failed = [one.title for one in findings if not one.ok]
        append(
            kind="account:check:failed" if failed else "account:check:passed",
            actor=lifecycle.WORKER,
            subject=check.account.subject,
            sentence=f"The connection check of {check.account} "
            + (f"found {len(failed)} problems." if failed else "passed."),
            data={"failed": failed},
        )


def ask_again(now: datetime) -> None:
    """Ask for a check of accounts whose last one is old, a few at a time."""
    recent = ConnectionCheck.objects.filter(
        account=OuterRef("pk"), asked_at__gt=now - settings.CHECK_EVERY
    )
    stale = AwsAccount.objects.filter(~Exists(recent), retired_at__isnull=True)
    for account in stale.order_by("pk")[:AT_ONCE]:
        with transaction.atomic():
            # Of several sweepers one asks: the others wait here, and then find it recent.
            if stale.select_for_update(of=("self",)).filter(pk=account.pk).exists():
                ConnectionCheck.objects.create(account=account, asked_by=lifecycle.SWEEPER)


def _failing_since(check: ConnectionCheck) -> datetime | None:
    before = check.account.checks.filter(finished_at__isnull=False).exclude(pk=check.pk).first()
    if before is None or before.passed:
        return check.finished_at
    return before.failing_since or before.finished_at


def _forget_old(account: AwsAccount) -> None:
    finished = account.checks.filter(finished_at__isnull=False)
    finished.exclude(pk__in=list(finished.values_list("pk", flat=True)[:KEPT_CHECKS])).delete()


def findings_of(account: AwsAccount) -> Iterator[Finding]:
    """Everything that *Check connection* proves, in order. Reads only; changes nothing in AWS."""
    try:
        session = assume(provisioner(account), session_name="sallyport-check")
    except AwsError as error:
        yield _cannot_enter(account, error)
        yield from _not_tried()
        return
    yield Finding("enter", ENTER, ok=True, detail=f"Entered {account.provisioner_role_arn}.")
    yield _refused_without(account)
    yield _refused_with_wrong(account)
    yield _same_account(account, session)
    yield from _documents(account, session)


ENTER = "The portal can enter the provisioner role"
WITHOUT = "The role refuses a call without the ExternalId"
WRONG = "The role refuses a wrong ExternalId"
SAME = "The role is in the account that was typed"
TRUST = "The role trusts the portal and nobody else"
NEEDED = "The role may do what Sallyport needs"
NO_MORE = "The role may do no more than that"
BOUNDARY = "The boundary policy is in place"
USER_POLICIES = "The policies of created IAM users are in place"

UPDATE_STACK = "Deploy the current template again (docs/aws-setup.md); it puts this right."


def _not_tried() -> Iterator[Finding]:
    titles = {
        "without": WITHOUT,
        "wrong": WRONG,
        "account": SAME,
        "trust": TRUST,
        "needed": NEEDED,
        "no_more": NO_MORE,
        "boundary": BOUNDARY,
    }
    for key, title in titles.items():
        yield Finding(key, title, ok=None, detail="Not tried: the role could not be entered.")


def _cannot_enter(account: AwsAccount, error: AwsError) -> Finding:
    mend = (
        f"Check that {account.provisioner_role_arn} exists, trusts {settings.AWS_PORTAL_PRINCIPAL}"
        f" and demands the ExternalId {account.external_id}. {UPDATE_STACK}"
    )
    return Finding("enter", ENTER, ok=False, detail=in_words(error), mend=mend)


def _refused_without(account: AwsAccount) -> Finding:
    return _refusal(
        "without",
        WITHOUT,
        lambda: assume(
            provisioner(account), session_name="sallyport-check", send_external_id=False
        ),
    )


def _refused_with_wrong(account: AwsAccount) -> Finding:
    wrong = f"wrong-{secrets.token_hex(8)}"
    return _refusal(
        "wrong",
        WRONG,
        lambda: assume(provisioner(account), session_name="sallyport-check", external_id=wrong),
    )


def _refusal(key: str, title: str, attempt: Callable[[], AccountSession]) -> Finding:
    """Good only if AWS says AccessDenied: a time-out or a throttle proves nothing."""
    try:
        attempt()
    except AwsError as error:
        if error.code == "AccessDenied":
            return Finding(key, title, ok=True, detail="AWS answered AccessDenied, as it must.")
        return Finding(key, title, ok=False, detail=in_words(error), mend="Run the check again.")
    return Finding(
        key,
        title,
        ok=False,
        detail="AWS let the portal in.",
        mend="The trust policy lacks the condition on sts:ExternalId, so anybody who can use the "
        f"portal's principal for another customer could reach this account. {UPDATE_STACK}",
    )


def _same_account(account: AwsAccount, session: AccountSession) -> Finding:
    try:
        answered = session.sts().get_caller_identity()["Account"]
    except Exception as error:  # Whatever fails here, the account is not proved.
        return Finding("account", SAME, ok=False, detail=str(error), mend="Run the check again.")
    return Finding(
        "account",
        SAME,
        ok=answered == account.account_id,
        detail=f"AWS says the session is in account {answered}.",
        mend=""
        if answered == account.account_id
        else f"The ARN belongs to {answered}. Correct the account id or the role's ARN.",
    )


def _documents(account: AwsAccount, session: AccountSession) -> Iterator[Finding]:
    client = session.iam()
    name = account.provisioner_role_arn.rpartition("/")[2]
    try:
        role = inspect.installed_role(client, name)
    except AwsError as error:
        detail = in_words(error)
        for key, title in (("trust", TRUST), ("needed", NEEDED), ("no_more", NO_MORE)):
            yield Finding(key, title, ok=False, detail=detail, mend=UPDATE_STACK)
    else:
        yield from _role_findings(account, role)
    yield _boundary_finding(account, client)
    if account.may_create_users:
        yield _user_policies_finding(account, client)


def _role_findings(account: AwsAccount, role: inspect.InstalledRole) -> Iterator[Finding]:
    trust = onboarding.review_trust(
        onboarding.provisioner_trust_policy(
            portal_principal=settings.AWS_PORTAL_PRINCIPAL, external_id=account.external_id
        ),
        role.trust,
    )
    yield _judged("trust", TRUST, (*trust.missing, *trust.extra))
    most = onboarding.provisioner_policy(
        partition=account.partition,
        account_id=account.account_id,
        users=account.may_create_users,
    )
    yield _needed_finding(account, role)
    yield _judged("no_more", NO_MORE, onboarding.review_permissions(most, role.policies).extra)


def _needed_finding(account: AwsAccount, role: inspect.InstalledRole) -> Finding:
    """What the work needs decides; what only pre-flight reads is mentioned where it is missing."""

    def missing(*, optional: bool) -> tuple[str, ...]:
        policy = onboarding.provisioner_policy(
            partition=account.partition,
            account_id=account.account_id,
            sides=sides_in_use(account),
            optional=optional,
            users=account.may_create_users,
        )
        return onboarding.review_permissions(policy, role.policies).missing

    if objections := missing(optional=False):
        return _judged("needed", NEEDED, objections)
    ahead = missing(optional=True)
    detail = "\n".join(("Without these, pre-flight says less before an approval:", *ahead))
    return Finding("needed", NEEDED, ok=True, detail=detail if ahead else "")


def sides_in_use(account: AwsAccount) -> frozenset[Side]:
    """What the account is used as; both, while it is in no pair yet."""
    pairs = AccountPair.objects
    sides = {
        Side.SOURCE: pairs.filter(source=account).exists(),
        Side.TARGET: pairs.filter(target=account).exists(),
    }
    if not any(sides.values()):
        return onboarding.BOTH_SIDES
    sides[Side.SOURCE] |= account.may_create_users
    return frozenset(side for side, used in sides.items() if used)


def _judged(key: str, title: str, objections: tuple[str, ...]) -> Finding:
    if not objections:
        return Finding(key, title, ok=True)
    return Finding(key, title, ok=False, detail="\n".join(objections), mend=UPDATE_STACK)


def _boundary_finding(account: AwsAccount, client: "IAMClient") -> Finding:
    if Side.TARGET not in sides_in_use(account):
        detail = "Not needed: no pair leads into this account, so no role is made here."
        return Finding("boundary", BOUNDARY, ok=True, detail=detail)
    wanted = onboarding.boundary_policy(partition=account.partition, account_id=account.account_id)
    try:
        found = inspect.managed_policy(client, account.boundary_arn)
    except AwsError as error:
        return Finding("boundary", BOUNDARY, ok=False, detail=in_words(error), mend=UPDATE_STACK)
    # A tighter boundary is the owner's right; only what it lets through beyond ours is a finding.
    return _judged("boundary", BOUNDARY, onboarding.review_permissions(wanted, [found]).extra)


def _user_policies_finding(account: AwsAccount, client: "IAMClient") -> Finding:
    names = {"partition": account.partition, "account_id": account.account_id}
    wanted = {
        user_policies.user_boundary_arn(*names.values()): user_policies.user_boundary_policy(
            **names
        ),
        user_policies.own_credentials_arn(*names.values()): user_policies.own_credentials_policy(
            **names
        ),
    }
    objections: list[str] = []
    try:
        for arn, document in wanted.items():
            found = user_policies.judgeable(inspect.managed_policy(client, arn))
            # The owner may make either tighter, as with the boundary of roles.
            wanted_here = user_policies.judgeable(document)
            objections += onboarding.review_permissions(wanted_here, [found]).extra
    except AwsError as error:
        detail = in_words(error)
        return Finding("user_policies", USER_POLICIES, ok=False, detail=detail, mend=UPDATE_STACK)
    return _judged("user_policies", USER_POLICIES, tuple(objections))


# --- IAM identities --------------------------------------------------------------------------


def verify_identity(identity_id: int) -> None:
    """Find an identity's IAM user in AWS and keep its ARN and unique id.

    An identity once verified keeps its unique id: another user of the same name is somebody else,
    and is reported instead of adopted [AWS-FACTS 4.3].
    """
    identity = IamIdentity.objects.select_related("account", "person").get(pk=identity_id)
    if identity.next_check_at is None or identity.created_by_portal:
        return
    if not pacing.has_room(identity.account, 2):
        return
    try:
        with assume(provisioner(identity.account), session_name="sallyport-identity") as session:
            user = iam.find_user(session.client, identity.user_name)
    except AwsError as error:
        _note_identity(identity, error=in_words(error))
        return
    if user is None:
        _note_identity(
            identity, error=f"There is no IAM user {identity.user_name} in this account."
        )
    elif identity.unique_id and identity.unique_id != user.unique_id:
        _note_identity(identity, error="The IAM user was deleted and made again: link it anew.")
    else:
        _adopt(identity, user)


def _note_identity(identity: IamIdentity, *, error: str) -> None:
    identity.last_error = error
    identity.next_check_at = database_now() + RETRY_IDENTITY
    identity.save(update_fields=["last_error", "next_check_at"])


@transaction.atomic
def _adopt(identity: IamIdentity, user: iam.FoundUser) -> None:
    identity.arn, identity.unique_id = user.arn, user.unique_id
    identity.verified_at, identity.next_check_at, identity.last_error = database_now(), None, ""
    identity.save(update_fields=["arn", "unique_id", "verified_at", "next_check_at", "last_error"])
    append(
        kind="identity:verified",
        actor=lifecycle.WORKER,
        subject=identity.subject,
        sentence=f"AWS knows {identity}, who is {identity.person.label} here.",
        data={"arn": user.arn, "unique_id": user.unique_id},
    )
