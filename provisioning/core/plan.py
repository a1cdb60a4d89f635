"""What should exist in AWS for a grant, and the steps from what is found to that.

    wanted = desired(spec, now)
    steps = plan(wanted, found)

Both are pure. `Found` comes from `provisioning.aws.iam.observe`; applying the steps in order to
what was found leaves an empty plan.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from provisioning.core import documents, naming, states
from provisioning.core.documents import Document
from provisioning.core.steps import (
    AddUserToGroup,
    AttachGroupPolicy,
    AttachRolePolicy,
    CreateGroup,
    CreateRole,
    DeleteGroupPolicy,
    DeleteRole,
    DeleteRolePolicy,
    DetachGroupPolicy,
    DetachRolePolicy,
    PlanStep,
    PutGroupPolicy,
    PutRolePolicy,
    RemoveUserFromGroup,
    SetBoundary,
    SetSessionLength,
    TagRole,
    UpdateTrust,
)


class ForeignObject(Exception):
    """Something of our name exists in AWS that is not ours. It is never changed (I5)."""


@dataclass(frozen=True)
class AccountRef:
    """An account as documents need it."""

    partition: str
    account_id: str
    name: str


@dataclass(frozen=True)
class GrantSpec:
    """Everything that the documents of one grant depend on.

    `ends_at` is None until the decision: documents then say `decision + PT30M`, and the same text
    stands in the fingerprint, so that what the approver saw can be compared with what the worker
    is about to do. `duration` is what the request asks for.
    """

    code: str
    portal_id: str
    source: AccountRef
    target: AccountRef
    user_name: str
    user_arn: str
    user_id: str
    switch_group: str
    group_targets: tuple[str, ...]
    group_policies: tuple[str, ...]
    profile_role: str
    managed_policies: tuple[str, ...]
    inline_policy: Document | None
    max_session: timedelta
    require_mfa: bool
    boundary_arn: str
    duration: timedelta
    ends_at: datetime | None = None
    revoked_at: datetime | None = None
    keep_membership: bool = False
    """Whether another live grant of this user needs the switch group."""
    group_is_ready: bool = False
    """Whether the switch group is known to be as registered, and need not be looked at."""
    starts_at: datetime | None = None
    """The start of a grant: nothing should exist before it. None for a request."""
    asked_start: datetime | None = None
    """The later start that a request asks for, if it does; it is part of the fingerprint."""
    until: datetime | None = None
    """The end that an extension asks for: the one end that is known before the decision."""

    @property
    def role_name(self) -> str:
        """Name of the issued role."""
        return naming.role_name(self.profile_role, self.user_name, self.code)

    @property
    def end(self) -> str:
        """The end as documents write it."""
        end = self.ends_at or self.until
        if end is None:
            begin = "start" if self.asked_start else "decision"
            return f"{begin} + PT{int(self.duration.total_seconds() // 60)}M"
        return documents.aws_time(end)

    @property
    def role_policies(self) -> tuple[str, ...]:
        """ARNs of the managed policies of the issued role, sorted."""
        names = sorted(self.managed_policies)
        return tuple(naming.managed_policy_arn(self.target.partition, name) for name in names)

    @property
    def group(self) -> "GroupSpec":
        """The switch group that the grant goes through."""
        return GroupSpec(self.source, self.switch_group, self.group_targets, self.group_policies)

    @property
    def group_policy_arns(self) -> tuple[str, ...]:
        """ARNs of the managed policies of the switch group, sorted."""
        return self.group.policy_arns


@dataclass(frozen=True)
class WantedGroup:
    """A switch group as it should be."""

    policy: Document = field(hash=False)
    managed: tuple[str, ...]


@dataclass(frozen=True)
class WantedRole:
    """An issued role as it should be."""

    trust: Document = field(hash=False)
    boundary_arn: str
    tags: Mapping[str, str] = field(hash=False)
    max_session_seconds: int
    inline: Mapping[str, Document] = field(hash=False)
    managed: tuple[str, ...]


@dataclass(frozen=True)
class Wanted:
    """What should exist for a grant. Names are always there; the rest only while it lives."""

    user: str
    group_name: str
    role_name: str
    owner_tags: Mapping[str, str] = field(hash=False)
    """Tags that prove a role of this name to be ours."""
    boundary_arn: str
    """Needed to remove a role too: AWS lets us lock out only a role that has it."""
    denies: tuple[Document, ...] = field(hash=False)
    """Forms of the end policy with which a role lets nobody do anything from now on."""
    group: WantedGroup | None
    """None where the group is left as it is: access is over, or the group is known to be ready."""
    role: WantedRole | None
    member: bool


@dataclass(frozen=True)
class FoundGroup:
    """A switch group as AWS shows it."""

    path: str
    inline: Mapping[str, Document] = field(hash=False)
    managed: tuple[str, ...]


@dataclass(frozen=True)
class FoundRole:
    """An issued role as AWS shows it."""

    path: str
    trust: Document = field(hash=False)
    boundary_arn: str
    tags: Mapping[str, str] = field(hash=False)
    max_session_seconds: int
    inline: Mapping[str, Document] = field(hash=False)
    managed: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """What exists in both accounts. `user_id` is AWS's unique id of the IAM user, "" if gone."""

    group: FoundGroup | None = None
    member: bool = False
    role: FoundRole | None = None
    user_id: str = ""


NOTHING = Found()


def as_made(spec: GrantSpec, *, locked: bool) -> Found:
    """What exists for a grant that was as wanted when last seen, with nobody having touched it.

    Removal begins from this instead of reading everything: what AWS contradicts is then read.
    """
    role = _as_found(_wanted_role(spec))
    if locked:
        role = replace(role, inline={**role.inline, naming.END_POLICY: documents.deny_all()})
    return Found(member=not spec.keep_membership, role=role, user_id=spec.user_id)


def _as_found(role: WantedRole) -> FoundRole:
    return FoundRole(
        path=naming.PATH,
        trust=role.trust,
        boundary_arn=role.boundary_arn,
        tags=role.tags,
        max_session_seconds=role.max_session_seconds,
        inline=role.inline,
        managed=role.managed,
    )


def desired(spec: GrantSpec, now: datetime) -> Wanted:
    """What should exist at `now`: everything while the grant lives, names alone afterwards."""
    lives = spec.ends_at is None or states.should_exist(
        starts_at=spec.starts_at, ends_at=spec.ends_at, revoked_at=spec.revoked_at, now=now
    )
    return Wanted(
        user=spec.user_name,
        group_name=spec.switch_group,
        role_name=spec.role_name,
        owner_tags={naming.TAG_GRANT: spec.code, naming.TAG_PORTAL: spec.portal_id},
        boundary_arn=spec.boundary_arn,
        denies=_denies(spec),
        group=desired_group(spec.group) if lives and not spec.group_is_ready else None,
        role=_wanted_role(spec) if lives else None,
        member=lives or spec.keep_membership,
    )


def _denies(spec: GrantSpec) -> tuple[Document, ...]:
    """The unconditional deny; of an access that ends by itself the dated one is enough."""
    if spec.revoked_at is not None:
        return (documents.deny_all(),)
    return documents.deny_all(), documents.dated_deny(spec.end)


@dataclass(frozen=True)
class GroupSpec:
    """What the documents of one switch group depend on."""

    source: AccountRef
    name: str
    targets: tuple[str, ...]
    policies: tuple[str, ...]

    @property
    def policy_arns(self) -> tuple[str, ...]:
        """ARNs of the managed policies of the group, sorted."""
        names = sorted(self.policies)
        return tuple(naming.managed_policy_arn(self.source.partition, name) for name in names)


def desired_group(spec: GroupSpec) -> WantedGroup:
    """What a switch group should be, whoever is in it."""
    policy = documents.switch_policy(partition=spec.source.partition, targets=spec.targets)
    return WantedGroup(policy=policy, managed=spec.policy_arns)


def plan_group(spec: GroupSpec, found: FoundGroup | None) -> tuple[PlanStep, ...]:
    """The steps from a switch group as found to what an admin registered.

    Raises ForeignObject where a group of that name exists outside our path.
    """
    _refuse_foreign_group(spec.name, found)
    return tuple(_group(spec.name, desired_group(spec), found))


def _wanted_role(spec: GrantSpec) -> WantedRole:
    inline = {naming.END_POLICY: documents.dated_deny(spec.end)}
    if spec.inline_policy:
        inline[naming.PROFILE_POLICY] = spec.inline_policy
    return WantedRole(
        trust=documents.trust_policy(
            user_arn=spec.user_arn, end=spec.end, require_mfa=spec.require_mfa
        ),
        boundary_arn=spec.boundary_arn,
        tags={
            naming.TAG_GRANT: spec.code,
            naming.TAG_PORTAL: spec.portal_id,
            naming.TAG_ENDS_AT: spec.end,
        },
        max_session_seconds=int(spec.max_session.total_seconds()),
        inline=inline,
        managed=spec.role_policies,
    )


def fingerprint(spec: GrantSpec) -> str:
    """SHA-256 over everything that would exist, with the end as `decision + duration`, or as the
    absolute time that an extension asks for.

    Frozen at the decision; a worker that computes another one does not apply it. What other
    grants do to the shared switch group (its list of targets, the membership) is left out: it
    changes for reasons of theirs and gives this grant nothing.
    """
    undecided = replace(spec, ends_at=None, revoked_at=None, keep_membership=False)
    role = _wanted_role(undecided)
    essence: dict[str, object] = {
        "user": [spec.source.account_id, spec.user_arn, spec.user_id],
        "group": [spec.switch_group, list(spec.group_policy_arns)],
        "role": [
            naming.role_arn(spec.target.partition, spec.target.account_id, spec.role_name),
            role.trust,
            role.boundary_arn,
            dict(role.tags),
            role.max_session_seconds,
            dict(role.inline),
            list(role.managed),
        ],
    }
    if spec.asked_start is not None:
        essence["start"] = documents.aws_time(spec.asked_start)
    text = json.dumps(documents.canonical(essence), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def made(wanted: Wanted, user_id: str) -> Found:
    """What would be found if AWS were as wanted, for plans that begin from there."""
    role, group = wanted.role, wanted.group
    inline = {naming.SWITCH_POLICY: group.policy} if group else {}
    return Found(
        group=FoundGroup(naming.PATH, inline, group.managed) if group else None,
        member=wanted.member,
        role=_as_found(role) if role else None,
        user_id=user_id,
    )


def plan(wanted: Wanted, found: Found) -> tuple[PlanStep, ...]:
    """The steps from what is found to what is wanted, in the order in which they are safe.

    Arm last: group and membership, role, dated deny, then permissions. Disarm first: the deny on
    the role, then the membership, then the role. Raises ForeignObject where a name is taken by
    something that is not ours.
    """
    _refuse_foreign(wanted, found)
    if wanted.role is None:
        return tuple(_remove(wanted, found))
    return (*_arm_source(wanted, found), *_arm_target(wanted, wanted.role, found.role))


def without_a_person(steps: Sequence[PlanStep]) -> tuple[PlanStep, ...]:
    """Those steps that repair may do by itself, because they only take access away (I12).

    What would be written on a role or group that is gone belongs to making it anew, and waits.
    """
    gone = {step.side for step in steps if isinstance(step, CreateRole | CreateGroup)}
    return tuple(step for step in steps if not step.gives and step.side not in gone)


def _refuse_foreign_group(name: str, found: FoundGroup | None) -> None:
    if found is not None and found.path != naming.PATH:
        message = f"A group named {name} exists outside {naming.PATH}."
        raise ForeignObject(message)


def _refuse_foreign(wanted: Wanted, found: Found) -> None:
    _refuse_foreign_group(wanted.group_name, found.group)
    if found.role is None:
        return
    tags = {key: found.role.tags.get(key) for key in wanted.owner_tags}
    if found.role.path != naming.PATH or tags != wanted.owner_tags:
        message = f"A role named {wanted.role_name} exists that this grant did not make."
        raise ForeignObject(message)


def _arm_source(wanted: Wanted, found: Found) -> Iterator[PlanStep]:
    if wanted.group is not None:
        yield from _group(wanted.group_name, wanted.group, found.group)
    if wanted.member and not found.member:
        yield AddUserToGroup(group=wanted.group_name, user=wanted.user)


def _group(name: str, group: WantedGroup, found: FoundGroup | None) -> Iterator[PlanStep]:
    if found is None:
        yield CreateGroup(group=name)
    yield from _group_contents(name, group, found)


def _group_contents(name: str, group: WantedGroup, found: FoundGroup | None) -> Iterator[PlanStep]:
    inline = found.inline if found else {}
    managed = found.managed if found else ()
    for foreign in sorted(set(inline) - {naming.SWITCH_POLICY}):
        yield DeleteGroupPolicy(group=name, policy=foreign)
    for arn in sorted(set(managed) - set(group.managed)):
        yield DetachGroupPolicy(group=name, policy_arn=arn)
    before = inline.get(naming.SWITCH_POLICY)
    if before is None or not documents.same(before, group.policy):
        gives = before is None or documents.narrower(before, group.policy)
        yield PutGroupPolicy(
            group=name,
            policy=naming.SWITCH_POLICY,
            document=group.policy,
            before=before,
            gives=gives,
        )
    for arn in sorted(set(group.managed) - set(managed)):
        yield AttachGroupPolicy(group=name, policy_arn=arn)


def _arm_target(wanted: Wanted, role: WantedRole, found: FoundRole | None) -> Iterator[PlanStep]:
    name = wanted.role_name
    if found is None:
        yield CreateRole(
            role=name,
            trust=role.trust,
            boundary_arn=role.boundary_arn,
            tags=role.tags,
            max_session_seconds=role.max_session_seconds,
        )
    else:
        yield from _role_frame(name, role, found)
    yield from _role_contents(name, role, found)


def _role_frame(name: str, role: WantedRole, found: FoundRole) -> Iterator[PlanStep]:
    """Boundary, trust and session length of a role that exists already.

    The boundary comes first: without it AWS lets the provisioner role do nothing else here.
    """
    if found.boundary_arn != role.boundary_arn:
        yield SetBoundary(role=name, boundary_arn=role.boundary_arn)
    if not documents.same(found.trust, role.trust):
        gives = documents.narrower(found.trust, role.trust)
        yield UpdateTrust(role=name, document=role.trust, before=found.trust, gives=gives)
    if found.max_session_seconds != role.max_session_seconds:
        gives = found.max_session_seconds < role.max_session_seconds
        yield SetSessionLength(role=name, max_session_seconds=role.max_session_seconds, gives=gives)
    tags = {key: found.tags.get(key, "") for key in role.tags}
    if tags != dict(role.tags):
        yield TagRole(role=name, tags=role.tags, before=tags)


def _role_contents(name: str, role: WantedRole, found: FoundRole | None) -> Iterator[PlanStep]:
    """Denies before permissions, and what nobody approved goes before anything is added."""
    inline = found.inline if found else {}
    managed = found.managed if found else ()
    yield from _inline(name, naming.END_POLICY, role, inline)
    for arn in sorted(set(managed) - set(role.managed)):
        yield DetachRolePolicy(role=name, policy_arn=arn)
    for policy in sorted(set(inline) - set(role.inline)):
        # Somebody's own Deny is a lock: to remove it would open the role again.
        gives = documents.only_denies(inline[policy])
        yield DeleteRolePolicy(role=name, policy=policy, gives=gives)
    yield from _inline(name, naming.PROFILE_POLICY, role, inline)
    for arn in sorted(set(role.managed) - set(managed)):
        yield AttachRolePolicy(role=name, policy_arn=arn)


_PURPOSES = {
    naming.END_POLICY: "Deny everything from the end on, so that open sessions stop too.",
    naming.PROFILE_POLICY: "Give the role the profile's own statements.",
}
LOCK_OUT = "Lock everybody out of the role, open sessions included."


def _inline(
    name: str, policy: str, role: WantedRole, found: Mapping[str, Document]
) -> Iterator[PlanStep]:
    document = role.inline.get(policy)
    before = found.get(policy)
    if document is None or (before is not None and documents.same(before, document)):
        return
    permits = policy == naming.PROFILE_POLICY
    yield PutRolePolicy(
        role=name,
        policy=policy,
        purpose=_PURPOSES[policy],
        document=document,
        before=before,
        gives=permits if before is None else documents.narrower(before, document),
    )


def lock_out(name: str) -> PutRolePolicy:
    """The step that denies a role everything at once: the first of every revocation."""
    return PutRolePolicy(
        role=name,
        policy=naming.END_POLICY,
        purpose=LOCK_OUT,
        document=documents.deny_all(),
    )


def locks_out(step: PlanStep) -> bool:
    """Whether nobody gets anything through the role once this step is done."""
    return isinstance(step, PutRolePolicy) and documents.same(step.document, documents.deny_all())


def arms(step: PlanStep) -> bool:
    """Whether a step gives a role permissions: everything else has to stand before it."""
    return isinstance(step, AttachRolePolicy) or (
        isinstance(step, PutRolePolicy) and step.policy == naming.PROFILE_POLICY
    )


def _remove(wanted: Wanted, found: Found) -> Iterator[PlanStep]:
    name = wanted.role_name
    if found.role is not None and not _is_locked(wanted, found.role):
        if found.role.boundary_arn != wanted.boundary_arn:
            yield SetBoundary(role=name, boundary_arn=wanted.boundary_arn)
        yield lock_out(name)
    if found.member and not wanted.member:
        yield RemoveUserFromGroup(group=wanted.group_name, user=wanted.user)
    if found.role is not None:
        yield from _delete_role(name, found.role)


def _is_locked(wanted: Wanted, role: FoundRole) -> bool:
    end = role.inline.get(naming.END_POLICY, {})
    return any(documents.same(end, one) for one in wanted.denies)


def _delete_role(name: str, role: FoundRole) -> Iterator[PlanStep]:
    """Permissions go before the deny, so that no moment in between lets anything through."""
    for arn in sorted(role.managed):
        yield DetachRolePolicy(role=name, policy_arn=arn)
    for policy in sorted(set(role.inline) - {naming.END_POLICY}):
        yield DeleteRolePolicy(role=name, policy=policy)
    # There is one by now: the role was locked out if it had none.
    yield DeleteRolePolicy(role=name, policy=naming.END_POLICY)
    yield DeleteRole(role=name)


# --- What is known after a step was answered -------------------------------------------------


def after(found: Found, steps: Sequence[PlanStep]) -> Found:
    """What exists once AWS has acknowledged these steps. Groups are always read instead."""
    for step in steps:
        found = _after(found, step)
    return found


def _after(found: Found, step: PlanStep) -> Found:
    match step:
        case AddUserToGroup():
            return replace(found, member=True)
        case RemoveUserFromGroup():
            return replace(found, member=False)
        case CreateRole():
            return replace(found, role=_made_role(step))
        case DeleteRole():
            return replace(found, role=None)
    if found.role is None:
        return found
    return replace(found, role=_role_after(found.role, step))


def _made_role(step: CreateRole) -> FoundRole:
    return FoundRole(
        path=naming.PATH,
        trust=step.trust,
        boundary_arn=step.boundary_arn,
        tags=step.tags,
        max_session_seconds=step.max_session_seconds,
        inline={},
        managed=(),
    )


def _role_after(role: FoundRole, step: PlanStep) -> FoundRole:
    match step:
        case UpdateTrust():
            return replace(role, trust=step.document)
        case SetBoundary():
            return replace(role, boundary_arn=step.boundary_arn)
        case SetSessionLength():
            return replace(role, max_session_seconds=step.max_session_seconds)
        case TagRole():
            return replace(role, tags={**role.tags, **step.tags})
        case PutRolePolicy():
            return replace(role, inline={**role.inline, step.policy: step.document})
        case DeleteRolePolicy():
            kept = {name: one for name, one in role.inline.items() if name != step.policy}
            return replace(role, inline=kept)
        case AttachRolePolicy():
            return replace(role, managed=tuple(sorted({*role.managed, step.policy_arn})))
        case DetachRolePolicy():
            return replace(role, managed=tuple(sorted({*role.managed} - {step.policy_arn})))
    return role
