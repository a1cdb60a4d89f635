"""How an outgoing webhook is signed: the Standard Webhooks scheme (standardwebhooks.com).

A receiver that knows the secret can tell that the body came from us, unchanged, and lately.
"""

import base64
import hashlib
import hmac
from typing import Final

PREFIX: Final = "whsec_"
SHORTEST: Final = 24  # bytes, as the scheme says
LONGEST: Final = 64


def key_of(secret: str) -> bytes:
    """The bytes of a secret as it is written: `whsec_` and base64. Raises ValueError."""
    if not secret.startswith(PREFIX):
        raise ValueError(f"A webhook's secret begins with {PREFIX}.")
    key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    if not SHORTEST <= len(key) <= LONGEST:
        raise ValueError(f"A webhook's secret has {SHORTEST} to {LONGEST} bytes.")
    return key


def headers(secret: str, *, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers that go with a body. `timestamp` is in seconds since 1970."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(key_of(secret), signed, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
