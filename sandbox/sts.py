"""STS: who calls, sessions, AssumeRole. moto's own STS is not used: it judges nothing."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.iam.utils import generate_access_key_id_from_account_id
from moto.utilities.utils import get_partition

from sandbox.aws_errors import (
    AwsError,
    access_denied,
    expired_token,
    invalid_token,
    validation,
)
from sandbox.evaluation import (
    Policies,
    Policy,
    Principal,
    Request,
    decide,
    may_assume,
    parse_policy,
    trust,
)
from sandbox.iam_requests import Check, Keys, Params, assume_role_checks, has_mfa
from sandbox.iam_rules import managed_documents, session_policy
from sandbox.iam_store import (
    Backend,
    Role,
    User,
    backend_of,
    backends,
    boundary_of,
    default_document,
    tag_map,
)

ADMINISTRATOR = re.compile(r"sandbox-admin-(\d{12})", re.ASCII)
"""Access key of an account's administrator, who makes the sandbox's world and is not judged."""

FIXED_USER = re.compile(r"sandbox-user-(\d{12})-([\w+=,.@-]{1,64})", re.ASCII)
"""A fixed access key of an IAM user, good as long as the user exists."""

DEFAULT_DURATION = 3600
CHAINED_LIMIT = 3600
KEPT_AFTER_END = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Session:
    """Credentials of an assumed role, and what came with the call that made them."""

    access_key: str
    token: str
    account: str
    partition: str
    role_id: str
    name: str
    issued_at: datetime
    expires_at: datetime
    policies: tuple[str, ...] | None
    source_identity: str | None = None
    tags: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed a request: a user, the session of a role, or an account's administrator."""

    account: Backend
    region: str
    user: User | None = None
    role: Role | None = None
    session: Session | None = None

    @property
    def is_administrator(self) -> bool:
        return self.user is None and self.session is None

    @property
    def arn(self) -> str:
        """The caller as GetCallerIdentity and the messages name it; a session's has no path."""
        if self.user is not None:
            return str(self.user.arn)
        head = f"arn:{self.account.partition}"
        if self.session is None or self.role is None:
            return f"{head}:iam::{self.account.account}:root"
        return (
            f"{head}:sts::{self.account.account}:assumed-role/{self.role.name}/{self.session.name}"
        )

    @property
    def user_id(self) -> str:
        if self.user is not None:
            return str(self.user.id)
        if self.session is None:
            return self.account.account
        return f"{self.session.role_id}:{self.session.name}"

    @property
    def principal(self) -> Principal:
        unique_id = self.user.id if self.user else self.session.role_id if self.session else ""
        return Principal(self.account.account, unique_id, self.arn if self.session else None)

    def keys(self) -> Keys:
        """The condition keys that say who calls and how they signed in."""
        keys: Keys = {
            "aws:PrincipalArn": str(self.role.arn) if self.role else self.arn,
            "aws:PrincipalAccount": self.account.account,
            "aws:PrincipalType": "AssumedRole" if self.session else "User",
            "aws:PrincipalIsAWSService": "false",
            "aws:userid": self.user_id,
            "aws:RequestedRegion": self.region,
            "aws:SecureTransport": "true",
            "aws:ViaAWSService": "false",
            "aws:SourceIp": "127.0.0.1",
        }
        entity = self.user or self.role
        principal_tags = {**(tag_map(entity.tags) if entity else {}), **self._session_tags()}
        keys |= {f"aws:PrincipalTag/{key}": value for key, value in principal_tags.items()}
        if self.user is not None:
            keys["aws:username"] = str(self.user.name)
        if self.session is not None:
            keys |= _session_keys(self.session)
        return keys

    def _session_tags(self) -> Mapping[str, str]:
        return (self.session.tags if self.session else None) or {}

    def policies(self) -> Policies:
        """Everything that limits the caller, read anew at each call."""
        entity = self.user or self.role
        groups = [g for g in self.account.groups.values() if self.user and self.user in g.users]
        identity = [document for holder in (entity, *groups) for document in _documents(holder)]
        boundary, given = boundary_of(entity), self.session.policies if self.session else None
        return Policies(
            identity=_parsed(identity),
            boundary=None if boundary is None else _parsed(_managed(self.account, boundary)),
            session=None if given is None else _parsed(given),
        )


def _session_keys(session: Session) -> Keys:
    # The session of a role says nothing about the factor that was shown to get it.
    keys: Keys = {
        "aws:TokenIssueTime": session.issued_at.isoformat(),
        "aws:MultiFactorAuthPresent": "false",
    }
    if session.source_identity:
        keys["aws:SourceIdentity"] = session.source_identity
    return keys


def _documents(holder: Any) -> list[str]:
    attached = [default_document(policy) for policy in holder.managed_policies.values()]
    return [*holder.policies.values(), *attached]


def _managed(account: Backend, arn: str) -> list[str]:
    """A boundary that is no more allows nothing."""
    policies = account.managed_policies
    return [default_document(policies[arn])] if arn in policies else []


def _parsed(documents: Iterable[str]) -> tuple[Policy, ...]:
    return tuple(parse_policy(document) for document in documents)


# Who calls --------------------------------------------------------------------------------


class Sessions:
    """All sessions that were ever given out and may still be asked about."""

    def __init__(self) -> None:
        self._by_key: dict[str, Session] = {}

    def add(self, session: Session) -> None:
        limit = session.issued_at - KEPT_AFTER_END
        self._by_key = {k: s for k, s in self._by_key.items() if s.expires_at > limit}
        self._by_key[session.access_key] = session

    def get(self, access_key: str) -> Session | None:
        return self._by_key.get(access_key)

    def all(self) -> list[Session]:
        return list(self._by_key.values())

    def clear(self) -> None:
        self._by_key = {}


def identify(
    sessions: Sessions, access_key: str, token: str | None, region: str, now: datetime
) -> Caller:
    """Find the caller by the access key of a request.

    Raises AwsError with InvalidClientTokenId or ExpiredToken, as AWS does.
    """
    partition = get_partition(region)
    if match := ADMINISTRATOR.fullmatch(access_key):
        return Caller(backend_of(match[1], partition), region)
    session = sessions.get(access_key)
    if session is not None:
        return _session_caller(session, token, region, now)
    user = _user_of(access_key, partition)
    if user is None or token:
        raise invalid_token()
    return Caller(backend_of(user.account_id, partition), region, user=user)


def _session_caller(session: Session, token: str | None, region: str, now: datetime) -> Caller:
    if token != session.token or get_partition(region) != session.partition:
        raise invalid_token()
    if now >= session.expires_at:
        raise expired_token()
    account = backend_of(session.account, session.partition)
    role = account.by_id(session.role_id)
    if not isinstance(role, Role):
        # The credentials of a deleted role are no credentials any more.
        raise invalid_token()
    role.last_used = now.replace(tzinfo=None)
    return Caller(account, region, role=role, session=session)


def _user_of(access_key: str, partition: str) -> User | None:
    if match := FIXED_USER.fullmatch(access_key):
        user = backend_of(match[1], partition).users.get(match[2])
        return user if isinstance(user, User) else None
    for account in backends():
        key = account.access_keys.get(access_key)
        if key is not None and key.status == "Active" and account.partition == partition:
            user = account.users.get(key.user_name or "")
            return user if isinstance(user, User) else None
    return None


# Calls ------------------------------------------------------------------------------------


def caller_identity(caller: Caller) -> dict[str, str]:
    """GetCallerIdentity, which nothing can forbid."""
    return {"Arn": caller.arn, "UserId": caller.user_id, "Account": caller.account.account}


def assume_role(caller: Caller, params: Params, sessions: Sessions, now: datetime) -> Session:
    """AssumeRole: both sides judged, then a session that only `sessions` knows.

    Raises AwsError.
    """
    if caller.is_administrator:
        raise access_denied("Roles may not be assumed by root accounts.")
    _check_factor(caller, params)
    role, account = _role(params["RoleArn"], caller)
    checks = assume_role_checks(params, tag_map(role.tags) if role else {})
    if role is None or account is None:
        raise _not_authorized(caller, checks[0])
    for check in checks:
        _judge(caller, role, check, now)
    seconds = _duration(caller, role, params)
    session = Session(
        access_key=generate_access_key_id_from_account_id(account.account, "ASIA"),
        token=f"FwoGZXIvYXdzE{secrets.token_urlsafe(150)}",
        account=account.account,
        partition=account.partition,
        role_id=str(role.id),
        name=params["RoleSessionName"],
        issued_at=now.replace(microsecond=0),
        expires_at=now.replace(microsecond=0) + timedelta(seconds=seconds),
        policies=_session_policies(params, account),
        source_identity=params.get("SourceIdentity"),
        tags=_request_tags(checks[0]),
    )
    sessions.add(session)
    return session


def _request_tags(check: Check) -> dict[str, str]:
    prefix = "aws:RequestTag/"
    found = {k.removeprefix(prefix): v for k, v in check.keys.items() if k.startswith(prefix)}
    return {key: value for key, value in found.items() if isinstance(value, str)}


def _check_factor(caller: Caller, params: Params) -> None:
    if "SerialNumber" not in params and "TokenCode" not in params:
        return
    if "SerialNumber" not in params or "TokenCode" not in params:
        raise access_denied(
            "MultiFactorAuthentication failed, must provide both MFA serial number and one time"
            " pass code."
        )
    if caller.user is None or not has_mfa(params):
        raise access_denied("MultiFactorAuthentication failed with invalid MFA one time pass code.")


def _role(arn: str, caller: Caller) -> tuple[Role | None, Backend | None]:
    match = re.fullmatch(r"arn:([\w-]+):iam::(\d{12}):role/.+", arn, re.ASCII)
    if match is None:
        raise validation(f"{arn} is invalid")
    if match[1] != caller.account.partition:
        # Roles never reach into another partition.
        return None, None
    account = backend_of(match[2], match[1])
    role = account.by_arn(arn)
    return (role, account) if isinstance(role, Role) else (None, account)


def _judge(caller: Caller, role: Role, check: Check, now: datetime) -> None:
    request = Request.at(now, check.action, check.resource, {**caller.keys(), **check.keys})
    own = decide(request, caller.policies())
    trusted = trust(request, parse_policy(role.bound_trust), caller.principal)
    same_account = role.account_id == caller.account.account
    if not may_assume(trusted, own, same_account=same_account):
        raise _not_authorized(caller, check)


def _not_authorized(caller: Caller, check: Check) -> AwsError:
    # AWS does not tell which side refused, nor whether the role exists.
    return access_denied(
        f"User: {caller.arn} is not authorized to perform: {check.action}"
        f" on resource: {check.resource}"
    )


def _duration(caller: Caller, role: Role, params: Params) -> int:
    seconds = int(params.get("DurationSeconds", DEFAULT_DURATION))
    if seconds > int(role.max_session_duration or DEFAULT_DURATION):
        raise validation(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )
    if caller.session is not None and seconds > CHAINED_LIMIT:
        raise validation(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by"
            " role chaining."
        )
    return seconds


def _session_policies(params: Params, account: Backend) -> tuple[str, ...] | None:
    """What the session is cut down to; None where the call brings no policy."""
    number, arns = 1, []
    while (arn := params.get(f"PolicyArns.member.{number}.arn")) is not None:
        arns.append(arn)
        number += 1
    documents = managed_documents(account, arns)
    if "Policy" in params:
        documents.append(session_policy(params["Policy"]))
    return tuple(documents) or None


def assume_role_result(session: Session, role_name: str) -> dict[str, Any]:
    """The answer to AssumeRole."""
    arn = f"arn:{session.partition}:sts::{session.account}:assumed-role/{role_name}/{session.name}"
    result: dict[str, Any] = {
        "AssumedRoleUser": {"AssumedRoleId": f"{session.role_id}:{session.name}", "Arn": arn},
        "Credentials": {
            "AccessKeyId": session.access_key,
            # Signatures are not checked here, so nobody needs to remember it.
            "SecretAccessKey": secrets.token_urlsafe(30),
            "SessionToken": session.token,
            "Expiration": session.expires_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
        "PackedPolicySize": 6,
    }
    if session.source_identity:
        result["SourceIdentity"] = session.source_identity
    return result
