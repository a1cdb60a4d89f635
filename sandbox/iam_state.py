"""The sandbox's IAM state as a file: everything that must survive a restart, as plain JSON.

Names, unique ids, keys, policies and live sessions are kept. Left out is what the product never
uses: server certificates, SAML and OpenID providers, instance profiles, SSH keys, passwords (only
that there is one).
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from moto.iam import models

from sandbox.iam_store import Backend, Role, User, backend_of, backends, new_user, tag_map
from sandbox.sts import Session, Sessions

FORMAT = "sallyport-sandbox-aws"
VERSION = 1

Data = dict[str, Any]


# From objects to data ---------------------------------------------------------------------


def dump(sessions: Sessions) -> Data:
    """Write down all accounts and sessions."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "accounts": [_account(backend) for backend in backends() if not backend.is_empty],
        "sessions": [_session(session) for session in sessions.all()],
    }


def _account(backend: Backend) -> Data:
    return {
        "account": backend.account,
        "partition": backend.partition,
        "aliases": backend.account_aliases,
        "policies": [_policy(policy) for policy in backend.managed_policies.own()],
        "users": [_user(user) for user in backend.users_by_id.values()],
        "groups": [_group(group) for group in backend.groups.values()],
        "roles": [_role(role) for role in backend.roles_by_name.values()],
    }


def _entity(entity: Any) -> Data:
    return {
        "id": entity.id,
        "name": entity.name,
        "path": entity.path,
        "created": entity.create_date.isoformat(),
        "policies": entity.policies,
        "attached": list(entity.managed_policies),
    }


def _policy(policy: models.ManagedPolicy) -> Data:
    return {
        "id": policy.id,
        "name": policy.name,
        "path": policy.path,
        "description": policy.description,
        "created": policy.create_date.isoformat(),
        "updated": policy.update_date.isoformat(),
        "default": policy.default_version_id,
        "next": policy.next_version_num,
        "tags": tag_map(policy.get_tags()),
        "versions": [
            {"id": v.version_id, "document": v.document, "created": v.create_date.isoformat()}
            for v in policy.versions
        ],
    }


def _user(user: User) -> Data:
    return _entity(user) | {
        "boundary": user.permissions_boundary_arn,
        "tags": tag_map(user.tags),
        "keys": [_key(key) for key in user.access_keys],
        "mfa": list(user.mfa_devices),
        "password": bool(user.password),
        "password_reset_required": user.password_reset_required,
    }


def _key(key: models.AccessKey) -> Data:
    return {
        "id": key.access_key_id,
        "secret": key.secret_access_key,
        "status": key.status,
        "created": key.create_date.isoformat(),
    }


def _group(group: models.Group) -> Data:
    return _entity(group) | {"members": [user.id for user in group.users]}


def _role(role: Role) -> Data:
    return _entity(role) | {
        "trust": role.bound_trust,
        "boundary": role.permissions_boundary_arn,
        "description": role.description,
        "tags": role.tags,
        "max_session_duration": role.max_session_duration,
        "last_used": role.last_used.isoformat() if role.last_used else None,
    }


def _session(session: Session) -> Data:
    moments = {
        "issued_at": session.issued_at.isoformat(),
        "expires_at": session.expires_at.isoformat(),
    }
    return asdict(session) | moments


# And back ---------------------------------------------------------------------------------


def load(data: Mapping[str, Any], sessions: Sessions) -> None:
    """Fill the empty store; raises ValueError, KeyError or TypeError for data of another make."""
    if (data["format"], data["version"]) != (FORMAT, VERSION):
        raise ValueError(f"made as {data['format']} {data['version']}")
    for account in data["accounts"]:
        _load_account(backend_of(account["account"], account["partition"]), account)
    for session in data["sessions"]:
        sessions.add(_load_session(session))


def _load_account(backend: Backend, data: Data) -> None:
    backend.account_aliases = data["aliases"]
    for policy in data["policies"]:
        _load_policy(backend, policy)
    for user in data["users"]:
        _load_user(backend, user)
    for group in data["groups"]:
        _load_group(backend, group)
    for role in data["roles"]:
        _load_role(backend, role)


def _load_entity(backend: Backend, entity: Any, data: Data) -> None:
    entity.id = data["id"]
    entity.create_date = datetime.fromisoformat(data["created"])
    entity.policies = data["policies"]
    for arn in data["attached"]:
        backend.managed_policies[arn].attach_to(entity)


def _load_policy(backend: Backend, data: Data) -> None:
    # The methods that mypy misses are moto's for CloudFormation, not for IAM.
    policy = models.ManagedPolicy(  # type: ignore[abstract]
        data["name"],
        account_id=backend.account,
        region=backend.region_name,
        default_version_id=data["default"],
        description=data["description"],
        path=data["path"],
        create_date=datetime.fromisoformat(data["created"]),
        update_date=datetime.fromisoformat(data["updated"]),
        tags={key.lower(): {"Key": key, "Value": value} for key, value in data["tags"].items()},
    )
    policy.id, policy.next_version_num = data["id"], data["next"]
    policy.versions = [
        models.PolicyVersion(
            policy.arn,
            version["document"],
            version["id"] == data["default"],
            version["id"],
            datetime.fromisoformat(version["created"]),
        )
        for version in data["versions"]
    ]
    backend.managed_policies[policy.arn] = policy


def _load_user(backend: Backend, data: Data) -> None:
    user = new_user(backend, data["name"], data["path"])
    _load_entity(backend, user, data)
    user.permissions_boundary_arn = data["boundary"]
    user.password = "set" if data["password"] else None
    user.password_reset_required = data["password_reset_required"]
    for serial in data["mfa"]:
        user.enable_mfa_device(serial, "", "")
    backend.tagger.tag_resource(user.arn, _tag_list(data["tags"]))
    backend.add_user(user)
    for item in data["keys"]:
        _load_key(backend, user, item)


def _load_key(backend: Backend, user: User, data: Data) -> None:
    key = user.create_access_key(prefix="AKIA", status=data["status"])
    key.access_key_id, key.secret_access_key = data["id"], data["secret"]
    key.create_date = datetime.fromisoformat(data["created"])
    backend.access_keys[key.access_key_id] = key


def _load_group(backend: Backend, data: Data) -> None:
    group = backend.create_group(data["name"], data["path"])
    _load_entity(backend, group, data)
    group.users = [backend.users_by_id[user_id] for user_id in data["members"]]


def _load_role(backend: Backend, data: Data) -> None:
    role = backend.new_role(
        data["id"],
        data["name"],
        data["trust"],
        data["path"],
        data["boundary"],
        data["description"],
        data["tags"],
        data["max_session_duration"],
    )
    _load_entity(backend, role, data)
    role.last_used = datetime.fromisoformat(data["last_used"]) if data["last_used"] else None
    backend.add_role(role)


def _load_session(data: Data) -> Session:
    changed = {
        "issued_at": datetime.fromisoformat(data["issued_at"]),
        "expires_at": datetime.fromisoformat(data["expires_at"]),
        "policies": None if data["policies"] is None else tuple(data["policies"]),
    }
    return Session(**(data | changed))


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


# The file ---------------------------------------------------------------------------------


def write(path: Path, text: str) -> None:
    """Replace the file in one step, readable by its owner only: it holds access keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read(path: Path, sessions: Sessions) -> None:
    """Load the file, if there is one; set aside what cannot be read, and start empty."""
    if not path.exists():
        return
    try:
        load(json.loads(path.read_text(encoding="utf-8")), sessions)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        clear(sessions)
        aside = _set_aside(path)
        reason = f"{type(error).__name__}: {error}"
        print(f"{path} cannot be read ({reason}); kept as {aside}.", file=sys.stderr)  # noqa: T201


def _set_aside(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.unreadable-{number}")).exists():
        number += 1
    return path.replace(aside)


def clear(sessions: Sessions) -> None:
    """Forget every account and session."""
    models.iam_backends.clear()
    sessions.clear()
