"""What is removed of a switch group when pairs are retired."""

from collections.abc import Iterator, Sequence

from provisioning.core import naming, plan
from provisioning.core.documents import VERSION, Document
from provisioning.core.plan import FoundGroup, GroupSpec
from provisioning.core.steps import DeleteGroup, DeleteGroupPolicy, DetachGroupPolicy, PlanStep


def session_policy(group_arn: str) -> Document:
    """What the portal's session may do to remove one switch group, and nothing that gives.

    The first look is allowed everywhere: IAM makes the ARN of what does not exist without its path.
    """
    actions = [
        "iam:GetGroupPolicy",
        "iam:ListGroupPolicies",
        "iam:ListAttachedGroupPolicies",
        "iam:DeleteGroupPolicy",
        "iam:DetachGroupPolicy",
        "iam:DeleteGroup",
    ]
    return {
        "Version": VERSION,
        "Statement": [
            {"Effect": "Allow", "Action": "iam:GetGroup", "Resource": "*"},
            {"Effect": "Allow", "Action": actions, "Resource": group_arn},
        ],
    }


def narrow_group(spec: GroupSpec, found: FoundGroup | None) -> tuple[PlanStep, ...]:
    """The steps that take from a shared group what only retired pairs needed.

    Nothing is given, and a group that is gone stays gone: that waits for a person (I12).
    """
    return plan.without_a_person(plan.plan_group(spec, found)) if found else ()


def remove_group(
    name: str, found: FoundGroup | None, *, last: bool, members: Sequence[str]
) -> tuple[PlanStep, ...]:
    """The steps that remove a group which no pair in use shares.

    Only what carries our path is touched. The group itself stays while it is not the `last` use of
    it, or while somebody is in it: it opens nothing any more, and we put out nobody whom we did not
    put in. Raises plan.ForeignObject for a group outside our path.
    """
    if found is None:
        return ()
    if found.path != naming.PATH:
        message = f"A group named {name} exists outside {naming.PATH}."
        raise plan.ForeignObject(message)
    return tuple(_removal(name, found, delete=last and not members))


def _removal(name: str, found: FoundGroup, *, delete: bool) -> Iterator[PlanStep]:
    for policy in sorted(found.inline):
        yield DeleteGroupPolicy(group=name, policy=policy)
    for arn in sorted(found.managed):
        yield DetachGroupPolicy(group=name, policy_arn=arn)
    if delete:
        yield DeleteGroup(group=name)
