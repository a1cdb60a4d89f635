"""How much of a switch group AWS's limits leave: the size of its policy, and groups per user.

Pure arithmetic. The policy itself is written by `provisioning.core.documents.switch_policy`, which
this layer cannot see; a test compares the two.
"""

from typing import Final

POLICY_LIMIT: Final = 5120
"""Characters of a group's inline policies together, white space not counted [AWS-FACTS 3.4]."""
GROUPS_PER_USER: Final = 10
"""Fixed by AWS [3.3]."""
WATCHED_FROM: Final = 50
"""Per cent of the limit from which pages show the use."""

_FRAME: Final = (
    '{"Version":"2012-10-17","Statement":[{"Sid":"SwitchToIssuedRoles","Effect":"Allow",'
    '"Action":"sts:AssumeRole","Resource":[]}]}'
)


def policy_size(partition: str, targets: int) -> int:
    """Characters of the policy of a switch group with so many targets."""
    return len(_FRAME) + targets * _entry(partition) - min(targets, 1)


def _entry(partition: str) -> int:
    """One target: its ARN, two quotation marks and a comma."""
    return len(f'"arn:{partition}:iam::123456789012:role/sallyport/*",')


def most_targets(partition: str) -> int:
    """How many targets one switch group can have."""
    return (POLICY_LIMIT - len(_FRAME) + 1) // _entry(partition)


def percent_used(partition: str, targets: int) -> int:
    """How full the policy is, rounded up."""
    return -(-100 * policy_size(partition, targets) // POLICY_LIMIT)
