"""What AWS would hold after a step: a model of state only, for tests of plans."""

from dataclasses import replace

from provisioning.core import naming, steps
from provisioning.core.plan import Found, FoundGroup, FoundRole
from provisioning.core.steps import PlanStep


def after(found: Found, *done: PlanStep) -> Found:
    """`found` with steps applied. Fails where AWS would, such as on a role with contents."""
    for step in done:
        found = _group(found, step) if step.side is steps.Side.SOURCE else _role(found, step)
    return found


def _group(found: Found, step: PlanStep) -> Found:
    if isinstance(step, steps.CreateGroup):
        assert found.group is None
        return replace(found, group=FoundGroup(path=naming.PATH, inline={}, managed=()))
    match step:
        case steps.AddUserToGroup():
            return replace(found, member=True)
        case steps.RemoveUserFromGroup():
            return replace(found, member=False)
    group = found.group
    assert group is not None
    match step:
        case steps.PutGroupPolicy():
            group = replace(group, inline={**group.inline, step.policy: step.document})
        case steps.DeleteGroupPolicy():
            group = replace(group, inline=_without(group.inline, step.policy))
        case steps.AttachGroupPolicy():
            group = replace(group, managed=(*group.managed, step.policy_arn))
        case steps.DetachGroupPolicy():
            group = replace(group, managed=_drop(group.managed, step.policy_arn))
    return replace(found, group=group)


def _role(found: Found, step: PlanStep) -> Found:
    if isinstance(step, steps.CreateRole):
        assert found.role is None
        role = FoundRole(
            path=naming.PATH,
            trust=step.trust,
            boundary_arn=step.boundary_arn,
            tags=step.tags,
            max_session_seconds=step.max_session_seconds,
            inline={},
            managed=(),
        )
        return replace(found, role=role)
    existing = found.role
    assert existing is not None
    if isinstance(step, steps.DeleteRole):
        assert not existing.inline, "DeleteConflict"
        assert not existing.managed, "DeleteConflict"
        return replace(found, role=None)
    return replace(found, role=_changed(existing, step))


def _changed(role: FoundRole, step: PlanStep) -> FoundRole:
    match step:
        case steps.UpdateTrust():
            return replace(role, trust=step.document)
        case steps.SetBoundary():
            return replace(role, boundary_arn=step.boundary_arn)
        case steps.SetSessionLength():
            return replace(role, max_session_seconds=step.max_session_seconds)
        case steps.TagRole():
            return replace(role, tags={**role.tags, **step.tags})
        case steps.PutRolePolicy():
            return replace(role, inline={**role.inline, step.policy: step.document})
        case steps.DeleteRolePolicy():
            return replace(role, inline=_without(role.inline, step.policy))
        case steps.AttachRolePolicy():
            return replace(role, managed=(*role.managed, step.policy_arn))
        case steps.DetachRolePolicy():
            return replace(role, managed=_drop(role.managed, step.policy_arn))
    raise AssertionError(step)


def _without[T](policies: object, name: str) -> dict[str, T]:
    assert isinstance(policies, dict)
    return {key: value for key, value in policies.items() if key != name}


def _drop(arns: tuple[str, ...], arn: str) -> tuple[str, ...]:
    assert arn in arns
    return tuple(one for one in arns if one != arn)
