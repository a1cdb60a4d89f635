"""Clients that hold no credentials, lent out for one operation at a time.

Making a botocore client costs ten milliseconds and its first call a TLS handshake; a grant needs
four. So clients are kept, but empty: the keys of one operation are put in when a client is lent
and taken out when it comes back, and a client without keys refuses to sign. Nobody else can have
a client while it is lent (docs/adr/0011).
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict, deque
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import botocore.session
from boto3 import Session
from botocore.config import Config
from botocore.credentials import Credentials as BotocoreCredentials
from botocore.credentials import ReadOnlyCredentials

from provisioning.aws.errors import THROTTLING_CODES

if TYPE_CHECKING:
    from botocore.loaders import Loader

CONFIG: Final = Config(
    retries={"mode": "standard", "total_max_attempts": 3},
    connect_timeout=5,
    read_timeout=20,
    max_pool_connections=4,
    user_agent_extra="sallyport",
)
"""Stated, because the defaults are legacy retries and minute-long waits [7.4]. STS endpoints are
regional by default now [7.10]."""


@dataclass(frozen=True)
class Credentials:
    """Keys of one identity. They live inside one operation and are never printed."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


class NoKeys(Exception):
    """A client was used outside the operation that it was lent to."""


class _Keys(BotocoreCredentials):
    """What a kept client signs with: the keys of the operation that holds it, else nothing."""

    def __init__(self) -> None:
        super().__init__("", "", method="sallyport")
        self._held: Credentials | None = None

    def hold(self, keys: Credentials | None) -> None:
        """Put keys in, or take them out."""
        self._held = keys

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """The keys to sign one request with. Raises NoKeys."""
        held = self._held
        if held is None:
            raise NoKeys("This client has been given back.")
        return ReadOnlyCredentials(held.access_key_id, held.secret_access_key, held.session_token)


class _TheseKeys:
    """Stands where botocore looks for credentials in the environment, and never looks there."""

    def __init__(self, keys: _Keys) -> None:
        self._keys = keys

    def load_credentials(self) -> _Keys:
        """What botocore asks for."""
        return self._keys


@dataclass
class Tally:
    """What one operation cost in one account: HTTP attempts sent, and answers that throttled."""

    sent: int = 0
    throttled: int = 0


@dataclass
class _Kept:
    """A client and what goes with it."""

    client: Any
    keys: _Keys | None
    tally: Tally = field(default_factory=Tally)

    def count_sent(self, **event: Any) -> None:
        """Called by botocore before each attempt."""
        self.tally.sent += 1

    def count_throttled(self, parsed_response: Any, **event: Any) -> None:
        """Called by botocore after each attempt."""
        error = (parsed_response or {}).get("Error", {})
        self.tally.throttled += error.get("Code") in THROTTLING_CODES


class Lent:
    """A client for one operation. `give_back` it, or use it in a `with` statement."""

    def __init__(self, pool: deque[_Kept], kept: _Kept, keys: Credentials | None) -> None:
        self._pool, self._kept = pool, kept
        self.client = kept.client
        self.tally = kept.tally = Tally()
        if kept.keys is not None:
            kept.keys.hold(keys)

    def give_back(self) -> None:
        """Take the keys out; from now on the client refuses to sign. Twice does no harm."""
        kept, self._kept = self._kept, _NOBODY
        if kept is not _NOBODY:
            if kept.keys is not None:
                kept.keys.hold(None)
            self._pool.append(kept)

    def __enter__(self) -> Any:
        return self.client

    def __exit__(self, *error: object) -> None:
        self.give_back()


_NOBODY: Final = _Kept(client=None, keys=None)
_pools: defaultdict[tuple[str, ...], deque[_Kept]] = defaultdict(deque)
_making = threading.Lock()


def _forget() -> None:
    """A child process makes its own clients: sockets must not be shared."""
    global _making  # A lock may have been held at the moment of the fork.
    _pools.clear()
    _making = threading.Lock()


os.register_at_fork(after_in_child=_forget)

ENDPOINTS: Final = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_IAM", "AWS_ENDPOINT_URL_STS")


def lend(service: str, region: str, keys: Credentials | None) -> Lent:
    """A client that can be nobody but these keys; None means the portal's own identity.

    botocore resolves the endpoint: IAM hosts differ by partition [7.8].
    """
    whose = ("own", *_own_identity()) if keys is None else ("lent",)
    pool = _pools[service, region, *(os.environ.get(name, "") for name in ENDPOINTS), *whose]
    try:
        kept = pool.pop()
    except IndexError:
        kept = _made(service, region, own=keys is None)
    return Lent(pool, kept, keys)


def _own_identity() -> tuple[str, ...]:
    """What tells one identity of the portal from another, should its environment change."""
    return tuple(os.environ.get(name, "") for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE"))


@cache
def loader() -> Loader:
    """Service models, parsed once a process: they are most of what a first client costs."""
    found: Loader = botocore.session.get_session().get_component("data_loader")
    return found


def _made(service: str, region: str, *, own: bool) -> _Kept:
    session = botocore.session.Session()
    session.register_component("data_loader", loader())
    keys = None if own else _Keys()
    if keys is not None:
        session.register_component("credential_provider", _TheseKeys(keys))
    with _making:  # The shared loader is not made for several threads at once.
        made = Session(botocore_session=session)
        client = made.client(service, region_name=region, config=CONFIG)  # type: ignore[call-overload]  # the service is a variable here
    kept = _Kept(client, keys)
    client.meta.events.register(f"before-send.{service}", kept.count_sent)
    client.meta.events.register(f"response-received.{service}", kept.count_throttled)
    return kept
