"""The classic grant as a spec, for tests of pure code: userA from A into B."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from provisioning.core.plan import AccountRef, GrantSpec

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
END = NOW + timedelta(minutes=30)

CLASSIC = GrantSpec(
    code="k3v9m2x7q4ab",
    portal_id="sandbox",
    source=AccountRef("aws", "111111111111", "Identity"),
    target=AccountRef("aws", "222222222222", "Workload"),
    user_name="userA",
    user_arn="arn:aws:iam::111111111111:user/userA",
    user_id="AIDAUSERA",
    switch_group="switch-to-222222222222",
    group_targets=("222222222222",),
    group_policies=("ReadOnlyAccess",),
    profile_role="SecurityReadOnlyRole",
    managed_policies=("ReadOnlyAccess",),
    inline_policy=None,
    max_session=timedelta(hours=1),
    require_mfa=True,
    boundary_arn="arn:aws:iam::222222222222:policy/SallyportBoundary",
    duration=timedelta(minutes=30),
    ends_at=END,
)

INLINE = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::logs"}],
}


def spec(**changes: Any) -> GrantSpec:
    """The classic grant, changed."""
    return replace(CLASSIC, **changes)
