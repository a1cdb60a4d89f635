"""What AWS's managed policies give, from a file that `scripts/permissions_data.py` makes.

They change without notice [AWS-FACTS 13.3]: what is said of one holds for the version in the file.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from accounts.permissions import catalogue
from accounts.permissions.effects import Effects

WORDS: Final = {
    "AdministratorAccess": "gives everything; nothing but the boundary limits it",
    "PowerUserAccess": "gives everything but identity services, so also every way to borrow the "
    "role of a machine or a function",
    "IAMFullAccess": "gives every change of identities; all of them are closed by the boundary",
    "ReadOnlyAccess": "reads data too: objects in S3, items in DynamoDB, logs, parameters",
    "SecurityAudit": "reads settings in depth, also the environment variables of functions",
    "job-function/ViewOnlyAccess": "lists and describes; it reads no stored data",
    "job-function/DatabaseAdministrator": "changes databases and passes roles to services",
    "job-function/DataScientist": "reads and changes analytics data and passes roles to services",
    "job-function/NetworkAdministrator": "changes networks, firewalls and load balancers",
    "job-function/SystemAdministrator": "changes most of what runs, and passes roles to machines",
    "job-function/SupportUser": "opens and reads support cases, and looks at most services",
    "job-function/Billing": "changes billing and payment settings",
}
"""What a person should know of the policies that are attached most, beside their numbers."""


@dataclass(frozen=True)
class ManagedPolicy:
    """An AWS managed policy as the file knows it."""

    name: str
    version: str
    effects: Effects
    attachable: bool


@cache
def _file() -> dict[str, Any]:
    return catalogue.load("managed.json.gz")


def source() -> str:
    """Where the list comes from, for people."""
    return str(_file()["source"])


def names() -> frozenset[str]:
    """Every known name, with path."""
    return frozenset(_file()["policies"])


@cache
def find(name: str) -> ManagedPolicy | None:
    """A policy by its name with path, or None: AWS has added it since, or never had it."""
    stored = _file()["policies"].get(name)
    if stored is None:
        return None
    effects = Effects.from_data(stored["effects"] or {})
    return ManagedPolicy(name, stored["version"], effects, stored["effects"] is not None)
