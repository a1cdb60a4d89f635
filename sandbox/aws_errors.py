"""Refusals in AWS's codes and words, and the XML that carries answers."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

NAMESPACES = {
    "iam": "https://iam.amazonaws.com/doc/2010-05-08/",
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
}


class AwsError(Exception):
    """A refusal: AWS's code on the wire, its message, the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status = code, message, status


def access_denied(message: str) -> AwsError:
    return AwsError("AccessDenied", message, 403)


def invalid_token() -> AwsError:
    return AwsError(
        "InvalidClientTokenId", "The security token included in the request is invalid.", 403
    )


def expired_token() -> AwsError:
    return AwsError("ExpiredToken", "The security token included in the request is expired", 403)


def limit_exceeded(quota: str, limit: int) -> AwsError:
    return AwsError("LimitExceeded", f"Cannot exceed quota for {quota}: {limit}", 409)


def no_such_entity(message: str) -> AwsError:
    return AwsError("NoSuchEntity", message, 404)


def malformed(message: str) -> AwsError:
    return AwsError("MalformedPolicyDocument", message)


def validation(message: str) -> AwsError:
    return AwsError("ValidationError", message)


def xml(content: Mapping[str, Any]) -> str:
    """Write nested mappings as elements."""
    parts = []
    for name, value in content.items():
        inner = xml(value) if isinstance(value, Mapping) else escape(str(value))
        parts.append(f"<{name}>{inner}</{name}>")
    return "".join(parts)


def result_xml(service: str, action: str, result: Mapping[str, Any]) -> bytes:
    """The answer to one call, as the query protocol writes it."""
    inner = xml({f"{action}Result": result, "ResponseMetadata": {"RequestId": uuid.uuid4()}})
    head = f'<{action}Response xmlns="{NAMESPACES[service]}">'
    return f"{head}{inner}</{action}Response>".encode()


def error_xml(service: str, error: AwsError) -> bytes:
    """A refusal, as the query protocol writes it."""
    kind = "Receiver" if error.status >= 500 else "Sender"
    body = {"Type": kind, "Code": error.code, "Message": error.message}
    inner = xml({"Error": body, "RequestId": uuid.uuid4()})
    head = f'<ErrorResponse xmlns="{NAMESPACES.get(service, NAMESPACES["iam"])}">'
    return f"{head}{inner}</ErrorResponse>".encode()
