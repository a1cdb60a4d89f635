"""What failures of AWS are called when people read them."""

from typing import Final

from provisioning.aws.errors import AwsError, Kind
from provisioning.core.plan import ForeignObject


def in_words(error: AwsError | ForeignObject) -> str:
    """A failure as a person reads it, with what to do where we know it."""
    if isinstance(error, ForeignObject):
        return f"{error} Sallyport does not touch it. Rename or remove it, then ask again."
    hint = _HINTS.get(error.code, "")
    return f"{error.call} was answered {error.code}: {error.message} {hint}".strip()


_HINTS: Final = {
    "AccessDenied": "Run Check connection on the account's page: it says which right is missing.",
    "LimitExceeded": "A quota of the account is full; AWS names it above.",
    "WrongAccount": "Correct the provisioner role on the account's page.",
}


def not_converging() -> AwsError:
    """AWS answered every call, but does not show what they did."""
    words = "AWS did not show the changes yet. They will be checked again."
    return AwsError(Kind.TRANSIENT, call="observe", code="NotConverging", message=words)
