"""A session of one grant is cut down to its objects by AWS, not only by a document of ours."""

from collections.abc import Callable
from typing import Any

import pytest

from provisioning.aws.errors import AwsError, calling
from provisioning.engine import converge, entry
from provisioning.models import Grant
from provisioning.specs import spec_for_grant
from tests.aws_world import Approved, Aws

pytestmark = pytest.mark.django_db(transaction=True)

SILENT = "because no session policy allows the iam:"


@pytest.fixture
def grants(approved: Approved, aws: Aws) -> tuple[Grant, Grant]:
    """Two live accesses of the same person through the same pair."""
    both = [approved(), approved()]
    for one in both:
        converge.converge(one.pk)
    first, second = (Grant.objects.with_parties().get(pk=one.pk) for one in both)
    return first, second


def refused(call: Callable[..., Any], **names: str) -> None:
    with pytest.raises(AwsError, match=SILENT), calling("iam:Any"):
        call(**names)


def test_the_session_in_the_target_is_refused_at_the_role_of_another_grant(
    grants: tuple[Grant, Grant],
) -> None:
    first, second = grants
    policy = "arn:aws:iam::aws:policy/ReadOnlyAccess"

    with entry.enter_target(first.request.offer.pair, spec_for_grant(first)) as session:
        refused(session.client.detach_role_policy, RoleName=second.role_name, PolicyArn=policy)
        refused(session.client.delete_role, RoleName=second.role_name)
        session.client.detach_role_policy(RoleName=first.role_name, PolicyArn=policy)


def test_the_session_in_the_source_is_refused_at_another_switch_group(
    grants: tuple[Grant, Grant], aws: Aws
) -> None:
    first, _ = grants
    pair, user = first.request.offer.pair, first.identity.user_name
    aws.admin(pair.source.account_id).create_group(Path="/sallyport/", GroupName="switch-to-others")

    with entry.enter_source(pair, spec_for_grant(first)) as session:
        refused(session.client.add_user_to_group, GroupName="switch-to-others", UserName=user)
        session.client.remove_user_from_group(GroupName=pair.switch_group, UserName=user)
