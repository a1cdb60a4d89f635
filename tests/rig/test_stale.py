"""A share of the reads that have not heard of the last changes (tests/rig/stale.py), and what else
a read has to see."""

import json

import pytest

from provisioning import services
from tests.rig import stale
from tests.rig.invariants import check_everything, check_no_orphans
from tests.rig.shares import Share
from tests.rig.stand import LEASE_AND_MORE, TARGET, Rig, administrator, fresh

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["provision", "extend", "revoke", "expire"])
def test_nothing_is_called_done_on_the_word_of_a_read_from_a_while_ago(
    rig: Rig, name: str, subtests: pytest.Subtests
) -> None:
    stale.each_read(rig, name, Share(subtests))
    stale.all_reads(rig, name, Share(subtests))


def test_a_removal_that_was_answered_is_ended_only_when_a_read_finds_nothing(rig: Rig) -> None:
    """Somebody makes the role anew, as it was, while the answer to its deletion is on its way."""
    grant = rig.active()
    iam = administrator(TARGET)
    role = iam.get_role(RoleName=grant.role_name)["Role"]
    services.revoke(person=rig.cast.dana, grant=grant, reason="Wrong account.")
    rig.spoil({"kind": "hold-after", "action": "DeleteRole"})

    rig.begin("converge", grant.pk)
    assert rig.control("held?wait=20")
    iam.create_role(
        Path=role["Path"],
        RoleName=role["RoleName"],
        AssumeRolePolicyDocument=json.dumps(role["AssumeRolePolicyDocument"]),
        PermissionsBoundary=role["PermissionsBoundary"]["PermissionsBoundaryArn"],
        Tags=role["Tags"],
    )
    rig.control("release?do=go")
    rig.end()

    check_no_orphans(rig)
    for _ in range(2):
        rig.pass_time(LEASE_AND_MORE)
        rig.sweep()
        check_no_orphans(rig)
    assert fresh(grant).phase == "ended"


def test_nothing_is_overlooked_where_aws_ends_each_page_early(rig: Rig) -> None:
    grant = rig.active()
    iam = administrator(TARGET)
    deny = {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    for number in range(3):
        iam.put_role_policy(
            RoleName=grant.role_name, PolicyName=f"p{number}", PolicyDocument=document
        )
    for name in ("SecurityAudit", "job-function/ViewOnlyAccess"):
        arn = f"arn:aws:iam::aws:policy/{name}"
        iam.attach_role_policy(RoleName=grant.role_name, PolicyArn=arn)
    rig.control("pages?size=1")
    services.revoke(person=rig.cast.dana, grant=grant, reason="Wrong account.")

    for _ in range(2):
        rig.sweep()
        rig.pass_time(LEASE_AND_MORE)

    check_everything(rig)
    check_no_orphans(rig)
    assert fresh(grant).phase == "ended"
