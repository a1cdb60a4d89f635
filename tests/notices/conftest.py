"""Events as the product writes them, and what becomes of them."""

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Offer, User
from audit.models import AuditEvent, append
from notices.deliver import channels_of, deliver
from notices.gather import gather
from notices.models import MAIL, Notice
from provisioning.models import AccessRequest, Grant
from tests.factories import AccessRequestFactory, GrantFactory

type Happen = Callable[..., AuditEvent]


@pytest.fixture
def asked(offer: Offer, alice: User) -> AccessRequest:
    """Alice asks."""
    return AccessRequestFactory.create(offer=offer, requester=alice)


@pytest.fixture
def grant(offer: Offer, alice: User, bob: User) -> Grant:
    """Alice has active access that bob approved."""
    return GrantFactory.create(
        request__offer=offer, request__requester=alice, phase="active", approver=bob
    )


@pytest.fixture
def happen() -> Happen:
    """Append an event about something."""

    def append_one(
        kind: str, subject: str, actor: str = "system:worker", reason: str = "", **data: Any
    ) -> AuditEvent:
        return append(
            kind=kind,
            actor=actor,
            subject=subject,
            sentence=f"It happened: {kind}.",
            reason=reason,
            data=data,
        )

    return append_one


def told(**which: Any) -> set[str]:
    """Who is to be told, by user name or channel."""
    gather()
    rows = Notice.objects.filter(**which).select_related("person")
    return {one.person.username if one.person else one.channel for one in rows}


def send_mail() -> int:
    """Send what is due by mail."""
    (channel,) = (one for one in channels_of({}) if one.name == MAIL)
    return deliver(channel)
