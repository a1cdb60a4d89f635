"""What stands for the AWS console, and for the browser that somebody is signed in to it with.

The console lets an IAM user in, switches to a role with that user's own keys, and shows what AWS
answers. The temporary credentials of a switched role would be with AWS and in the browser; here
they must be somewhere, and it may not be the portal's database, nor a cookie or a page (I9). So
each browser has one file under the sandbox's folder, readable by its owner only and named by a
random number that stands in a cookie of the console's own. The portal's session knows nothing of
it, as it knows nothing of the real console's. The file goes when its person signs out, and an
hour after it was last written.
"""

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings

from provisioning.aws.clients import Credentials
from provisioning.aws.errors import AwsError, calling
from sandbox import world
from sandbox.world import IamUser

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_sts import STSClient

LIFETIME: Final = 60 * 60
"""Seconds that a file is kept after it was written: as long as a switched role lasts here."""
TICKET: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
TOKEN_CODE: Final = "000000"  # noqa: S105  # Any six digits: the stand-in for AWS has no clock token.


@dataclass(frozen=True)
class SwitchedRole:
    """The role that a browser has switched to."""

    account_id: str
    role_name: str
    display_name: str
    colour: str
    credentials: Credentials = field(repr=False)

    @property
    def bare_name(self) -> str:
        """The name without its path, as sessions are named."""
        return self.role_name.rpartition("/")[2]


@dataclass(frozen=True)
class ConsoleSession:
    """Who is signed in to the console with one browser."""

    ticket: str = field(repr=False)
    user: IamUser
    mfa: bool
    role: SwitchedRole | None = None

    @property
    def account_id(self) -> str:
        """The account that the console shows now."""
        return self.role.account_id if self.role else self.user.account_id

    @property
    def label(self) -> str:
        """What the console's bar says: the display name, or who is signed in."""
        if self.role is None:
            return f"{self.user.user_name} @ {self.user.account_id}"
        return self.role.display_name or f"{self.role.bare_name} @ {self.role.account_id}"

    @property
    def credentials(self) -> Credentials:
        """With which keys the console asks AWS now."""
        return self.role.credentials if self.role else self.user.credentials


@dataclass(frozen=True)
class Answer:
    """One call that the console makes, and what AWS said."""

    call: str
    allowed: bool
    words: str
    code: str = ""


# --- Signing in, switching -------------------------------------------------------------------


def sign_in(user: IamUser, *, mfa: bool) -> ConsoleSession:
    """Sign an IAM user in. No password is asked: the sandbox stands for whoever has it."""
    _forget_old()
    session = ConsoleSession(secrets.token_hex(16), user, mfa)
    _keep(session)
    return session


def find(ticket: str) -> ConsoleSession | None:
    """Who a browser's cookie stands for; None where nobody is signed in any more."""
    path = _path(ticket)
    if path is None or _is_old(path):
        return None
    data = world.read_private(path)
    user = data and world.iam_user(data["account_id"], data["user_name"])
    if not data or not user:
        return None
    return ConsoleSession(ticket, user, data["mfa"], _role_from(data["role"]))


def switch_role(
    session: ConsoleSession, *, account_id: str, role_name: str, display_name: str, colour: str
) -> ConsoleSession:
    """Switch to a role, as the console does.

    Always with the IAM user's own keys, also from inside another role [AWS-FACTS 1.16], with the
    user name as the name of the session [1.20], without an ExternalId [1.19], and with MFA if the
    user signed in with it. Raises AwsError if AWS refuses.
    """
    user = session.user
    sts: STSClient = world.client("sts", user.credentials, user.region)
    request: dict[str, Any] = {
        "RoleArn": f"arn:{world.PARTITION}:iam::{account_id}:role/{role_name}",
        "RoleSessionName": user.user_name,
        "DurationSeconds": LIFETIME,
    }
    if session.mfa:
        request |= {"SerialNumber": user.mfa_serial, "TokenCode": TOKEN_CODE}
    with calling("sts:AssumeRole"):
        keys = sts.assume_role(**request)["Credentials"]
    credentials = Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    role = SwitchedRole(account_id, role_name, display_name, colour, credentials)
    switched = ConsoleSession(session.ticket, user, session.mfa, role)
    _keep(switched)
    return switched


def switch_back(session: ConsoleSession) -> ConsoleSession:
    """Be the IAM user again; the role's credentials are forgotten."""
    back = ConsoleSession(session.ticket, session.user, session.mfa)
    _keep(back)
    return back


def sign_out(ticket: str) -> None:
    """Forget who a browser was."""
    path = _path(ticket)
    if path is not None:
        path.unlink(missing_ok=True)


# --- What AWS answers ------------------------------------------------------------------------


def look(session: ConsoleSession) -> list[Answer]:
    """Ask AWS who this is, and for what any reader may see. Changes nothing."""
    sts: STSClient = world.client("sts", session.credentials, session.user.region)
    iam: IAMClient = world.client("iam", session.credentials, session.user.region)
    return [
        _answer("sts:GetCallerIdentity", lambda: sts.get_caller_identity()["Arn"]),
        _answer("iam:ListRoles", lambda: _count(iam.list_roles()["Roles"], "role")),
        _answer("iam:ListUsers", lambda: _count(iam.list_users()["Users"], "user")),
    ]


def _answer(call: str, ask: Callable[[], str]) -> Answer:
    try:
        with calling(call):
            return Answer(call, allowed=True, words=ask())
    except AwsError as error:
        return Answer(call, allowed=False, words=error.message, code=error.code)


def _count(things: list[Any], what: str) -> str:
    return f"{len(things)} {what}" if len(things) == 1 else f"{len(things)} {what}s"


# --- The files -------------------------------------------------------------------------------


def _folder() -> Path:
    folder: Path = settings.VAR_DIR / "console"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _path(ticket: str) -> Path | None:
    """The file of a browser; None for what cannot have come from here."""
    return _folder() / f"{ticket}.json" if TICKET.fullmatch(ticket) else None


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > LIFETIME
    except FileNotFoundError:
        return True


def _forget_old() -> None:
    for path in _folder().glob("*.json"):
        if _is_old(path):
            path.unlink(missing_ok=True)


def _keep(session: ConsoleSession) -> None:
    path = _path(session.ticket)
    if path is None:
        raise ValueError("not a ticket")
    world.write_private(
        path,
        {
            "account_id": session.user.account_id,
            "user_name": session.user.user_name,
            "mfa": session.mfa,
            "role": session.role and _role_as_data(session.role),
        },
    )


def _role_as_data(role: SwitchedRole) -> dict[str, str | None]:
    return {
        "account_id": role.account_id,
        "role_name": role.role_name,
        "display_name": role.display_name,
        "colour": role.colour,
        "access_key_id": role.credentials.access_key_id,
        "secret_access_key": role.credentials.secret_access_key,
        "session_token": role.credentials.session_token,
    }


def _role_from(data: dict[str, str] | None) -> SwitchedRole | None:
    if data is None:
        return None
    keys = (data["access_key_id"], data["secret_access_key"], data["session_token"])
    return SwitchedRole(
        data["account_id"],
        data["role_name"],
        data["display_name"],
        data["colour"],
        Credentials(*keys),
    )
