"""Names of everything that Sallyport makes in AWS. They follow from the grant, so that a retry
meets its own work."""

from typing import Final

PATH: Final = "/sallyport/"
"""The IAM path of everything of ours. Provisioner roles may touch nothing outside it."""

CONSOLE_LIMIT: Final = 64
"""Path and role name together: the console cannot switch to a longer one [AWS-FACTS 1.4]."""

CODE_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"
"""32 signs, lower case: IAM names clash without regard to case, and l, o, 0, 1 look alike."""
CODE_LENGTH: Final = 12
"""60 random bits: nobody can make a role of a coming grant's name before us."""

TAG_GRANT: Final = "sallyport:grant"
TAG_PORTAL: Final = "sallyport:portal"
TAG_ENDS_AT: Final = "sallyport:ends-at"

END_POLICY: Final = "SallyportEnd"
"""Inline policy of an issued role: the dated deny. A revocation writes the unconditional deny over
it, so that there is no moment without one, and one policy less to remove."""
PROFILE_POLICY: Final = "SallyportProfile"
"""Inline policy of an issued role: the profile's own statements."""
SWITCH_POLICY: Final = "SallyportSwitch"
"""Inline policy of a switch group: sts:AssumeRole on the issued roles of its targets."""

SHORTEST_USER_PART: Final = 8


def role_name(profile_role: str, user_name: str, code: str) -> str:
    """Name of the issued role of one grant: `<profile role>-<IAM user>-<code>`, cut to fit.

    Path and name together have at most 64 characters [AWS-FACTS 1.4]. The user's part is cut
    first, down to 8 characters, then the profile's; the code is never cut.
    """
    room = CONSOLE_LIMIT - len(PATH) - len(code) - 2
    user_room = max(room - len(profile_role), min(SHORTEST_USER_PART, len(user_name)))
    user = user_name[:user_room]
    return f"{profile_role[: room - len(user)]}-{user}-{code}"


def role_arn(partition: str, account_id: str, name: str) -> str:
    """ARN of an issued role."""
    return f"arn:{partition}:iam::{account_id}:role{PATH}{name}"


def group_arn(partition: str, account_id: str, name: str) -> str:
    """ARN of a switch group."""
    return f"arn:{partition}:iam::{account_id}:group{PATH}{name}"


def managed_policy_arn(partition: str, name: str) -> str:
    """ARN of an AWS managed policy; `name` includes a path such as job-function/ [13.1]."""
    return f"arn:{partition}:iam::aws:policy/{name}"


def session_name(code: str) -> str:
    """RoleSessionName of the portal's own sessions, so that CloudTrail names the grant."""
    return f"sallyport-{code}"
