"""What a person would use instead of Sallyport, in this process and in the same run.

- `Replay` makes the very same calls as the product did, as a tuned script would: clients and
  credentials are warm, both accounts are worked on beside each other, and nothing is decided,
  compared or stored.
- `Tuned` makes only the calls that change something: no observation, no read-back, no date.
- `naive` is the script that most people would write: a session, two AssumeRole and two clients
  for each grant.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import boto3
import botocore.session
from botocore.config import Config

from bench.aws import REGION, Record
from bench.world import World
from provisioning.core import naming
from provisioning.models import Grant

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

CONFIG: Final = Config(max_pool_connections=32, retries={"total_max_attempts": 1})
MANAGED: Final = "arn:aws:iam::aws:policy/ReadOnlyAccess"

# Both accounts of every grant that is replayed at once, and reads beside each other in each.
THREADS: Final = 32


class Clients:
    """Warm clients: service models are loaded once, connections stay open."""

    def __init__(self) -> None:
        self.session = botocore.session.Session()
        self.session.set_config_variable("region", REGION)
        self.sts: Any = self.session.create_client("sts", config=CONFIG)
        self._iam: dict[str, Any] = {}

    def iam(self, account: str, role_arn: str) -> "IAMClient":
        """The client of an account, with credentials that were fetched once."""
        if account not in self._iam:
            answer = self.sts.assume_role(RoleArn=role_arn, RoleSessionName="bench")
            keys: dict[str, Any] = _keys(answer)
            self._iam[account] = self.session.create_client("iam", config=CONFIG, **keys)
        client: IAMClient = self._iam[account]
        return client


def _keys(answer: Any) -> dict[str, str]:
    keys = answer["Credentials"]
    return {
        "aws_access_key_id": keys["AccessKeyId"],
        "aws_secret_access_key": keys["SecretAccessKey"],
        "aws_session_token": keys["SessionToken"],
    }


# --- The very same calls ---------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """One recorded call as boto3 takes it; names of the grant stand as {user}, {role}, {code}."""

    service: str
    account: str
    operation: str
    arguments: str


@dataclass
class Replay:
    """The calls of one run of the product, to be made again for other grants of the pair."""

    clients: Clients
    pool: ThreadPoolExecutor
    sides: list[list[list[Call]]]
    """For each account the calls in waves: those of one wave were in flight together."""
    roles: dict[str, str]

    @classmethod
    def of(cls, clients: Clients, world: World, grant: Grant, calls: Sequence[Record]) -> "Replay":
        """Learn from what the product did for `grant`."""
        roles = {one.account_id: one.provisioner_role_arn for one in (world.source, world.target)}
        for account, arn in roles.items():
            clients.iam(account, arn)
        pool = ThreadPoolExecutor(THREADS)
        sides: dict[str, list[Record]] = {account: [] for account in roles}
        for call in calls:
            if call.status < 500:
                sides[_side(call)].append(call)
        waves = [
            _waves([_learn(clients, one, grant) for one in found], found)
            for found in sides.values()
        ]
        return cls(clients, pool, waves, roles)

    @property
    def number(self) -> int:
        """How many calls it makes."""
        return sum(len(wave) for side in self.sides for wave in side)

    def run(self, grant: Grant) -> None:
        """Make the calls for another grant, both accounts beside each other."""
        names = _names(grant)
        jobs = [self.pool.submit(self._side, side, names) for side in self.sides[1:]]
        self._side(self.sides[0], names)
        for job in jobs:
            job.result()

    def _side(self, waves: Iterable[Sequence[Call]], names: Mapping[str, str]) -> None:
        for wave in waves:
            jobs = [self.pool.submit(self._make, call, names) for call in wave[1:]]
            self._make(wave[0], names)
            for job in jobs:
                job.result()

    def _make(self, call: Call, names: Mapping[str, str]) -> None:
        text = call.arguments
        for placeholder, name in names.items():
            text = text.replace(placeholder, name)
        iam = self.clients.iam(call.account, self.roles[call.account])
        client: Any = self.clients.sts if call.service == "sts" else iam
        # The product meets it too: it looks before it makes, and once more after removing.
        with suppress(iam.exceptions.NoSuchEntityException):
            getattr(client, call.operation)(**json.loads(text))

    def close(self) -> None:
        """Stop the threads."""
        self.pool.shutdown()


def _side(call: Record) -> str:
    """The account that a call is about: for AssumeRole the one that is entered."""
    return (
        call.parameters["RoleArn"].split(":")[4] if "RoleArn" in call.parameters else call.account
    )


def _names(grant: Grant) -> dict[str, str]:
    """What differs between two grants of a pair. The role's name first: it holds the others."""
    return {
        "{role}": grant.role_name,
        "{code}": grant.code,
        "{user}": grant.identity.user_name,
        "{id}": grant.identity.unique_id,
    }


def _learn(clients: Clients, call: Record, grant: Grant) -> Call:
    service = "sts" if call.action == "AssumeRole" else "iam"
    model = clients.session.get_service_model(service).operation_model(call.action)
    arguments = _value(model.input_shape, call.parameters, "") or {}
    text = json.dumps(arguments)
    for placeholder, name in _names(grant).items():
        text = text.replace(name, placeholder)
    return Call(service, _side(call), _snake(call.action), text)


def _snake(action: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", action).lower()


def _value(shape: Any, sent: Mapping[str, str], prefix: str) -> Any:
    """The value of a shape in a request of the query protocol; None where it was not sent."""
    if shape.type_name == "structure":
        dot = f"{prefix}." if prefix else ""
        found = {name: _value(one, sent, dot + name) for name, one in shape.members.items()}
        return {name: one for name, one in found.items() if one is not None} or None
    if shape.type_name == "list":
        items: list[Any] = []
        while (one := _value(shape.member, sent, f"{prefix}.member.{len(items) + 1}")) is not None:
            items.append(one)
        return items or None
    text = sent.get(prefix)
    if text is None:
        return None
    if shape.type_name in {"integer", "long"}:
        return int(text)
    return text == "true" if shape.type_name == "boolean" else text


def _waves(calls: Sequence[Call], records: Sequence[Record]) -> list[list[Call]]:
    """Calls that were in flight together make a wave; the next one begins after all of them."""
    waves: list[list[Call]] = []
    ends = 0.0
    for call, record in zip(calls, records, strict=True):
        if record.began >= ends:
            waves.append([])
        waves[-1].append(call)
        ends = max(ends, record.ended)
    return waves


# --- Fewer calls -----------------------------------------------------------------------------


def _trust(grant: Grant) -> str:
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": grant.iam_user_arn},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
    )


@dataclass
class Tuned:
    """The least that gives and takes the access: three calls each way, warm clients, no look."""

    clients: Clients
    world: World
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2))

    def provision(self, grant: Grant) -> None:
        """Membership beside role and policy."""
        source, target = self._sides()
        joined = self.pool.submit(
            source.add_user_to_group,
            GroupName=self.world.pair.switch_group,
            UserName=grant.identity.user_name,
        )
        role = grant.role_name
        target.create_role(Path=naming.PATH, RoleName=role, AssumeRolePolicyDocument=_trust(grant))
        target.attach_role_policy(RoleName=role, PolicyArn=MANAGED)
        joined.result()

    def revoke(self, grant: Grant) -> None:
        """The same backwards."""
        source, target = self._sides()
        left = self.pool.submit(
            source.remove_user_from_group,
            GroupName=self.world.pair.switch_group,
            UserName=grant.identity.user_name,
        )
        target.detach_role_policy(RoleName=grant.role_name, PolicyArn=MANAGED)
        target.delete_role(RoleName=grant.role_name)
        left.result()

    def _sides(self) -> tuple["IAMClient", "IAMClient"]:
        source, target = self.world.source, self.world.target
        return (
            self.clients.iam(source.account_id, source.provisioner_role_arn),
            self.clients.iam(target.account_id, target.provisioner_role_arn),
        )

    def close(self) -> None:
        """Stop the threads."""
        self.pool.shutdown()


def naive(world: World, grant: Grant) -> None:
    """Provision as most scripts do: everything new for each grant, one call after the other."""
    source = _fresh(world.source.provisioner_role_arn)
    source.add_user_to_group(GroupName=world.pair.switch_group, UserName=grant.identity.user_name)
    target = _fresh(world.target.provisioner_role_arn)
    target.create_role(
        Path=naming.PATH, RoleName=grant.role_name, AssumeRolePolicyDocument=_trust(grant)
    )
    target.attach_role_policy(RoleName=grant.role_name, PolicyArn=MANAGED)


def _fresh(role_arn: str) -> "IAMClient":
    session = boto3.Session(region_name=REGION)
    answer = session.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="naive")
    keys: dict[str, Any] = _keys(answer)
    client: IAMClient = boto3.Session(region_name=REGION).client("iam", **keys)
    return client
