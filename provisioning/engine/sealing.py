"""Sealing a one-time password to the page that asked for it: HPKE (RFC 9180), base mode.

Each request has its own key pair. The public half is in the database, the private half on the
admin's page; whoever holds only one of them has nothing.
"""

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

_SUITE: Final = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)


class WrongKey(Exception):
    """This key does not open it."""


@dataclass(frozen=True)
class KeyPair:
    """Both halves, as hexadecimal digits."""

    public: str
    private: str = field(repr=False)


def new_key_pair() -> KeyPair:
    """A key pair for one password."""
    key = X25519PrivateKey.generate()
    return KeyPair(key.public_key().public_bytes_raw().hex(), key.private_bytes_raw().hex())


def seal(text: str, *, public: str, about: str) -> str:
    """Seal a text; it opens only with the private half, and only for the same `about`."""
    key = X25519PublicKey.from_public_bytes(bytes.fromhex(public))
    return b64encode(_SUITE.encrypt(text.encode(), key, info=about.encode())).decode()


def open_sealed(sealed: str, *, private: str, about: str) -> str:
    """The text. Raises WrongKey."""
    try:
        key = X25519PrivateKey.from_private_bytes(bytes.fromhex(private))
        return _SUITE.decrypt(b64decode(sealed), key, info=about.encode()).decode()
    except (InvalidTag, NotBase64, ValueError):
        raise WrongKey from None
