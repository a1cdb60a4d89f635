"""What tests of four eyes ask again and again."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts.four_eyes.gate import Proposed
from accounts.models import ProfileVersion, Proposal
from audit.models import AuditEvent

WHY = "Ticket 77: the night shift starts."


def proposal_of(change: Callable[[], object]) -> Proposal:
    """The proposal that a change became."""
    with pytest.raises(Proposed) as caught:
        change()
    return caught.value.proposal


def codes_of(change: Callable[[], object]) -> dict[str, list[str | None]]:
    with pytest.raises(ValidationError) as caught:
        change()
    found = caught.value.update_error_dict({})
    return {field: [one.code for one in errors] for field, errors in found.items()}


def kinds_told() -> list[str]:
    return list(AuditEvent.objects.order_by("id").values_list("kind", flat=True))


def refused_by(write: Callable[[], object]) -> str:
    with pytest.raises(IntegrityError) as caught, transaction.atomic():
        write()
    return str(caught.value.__cause__.diag.constraint_name)  # type: ignore[union-attr]  # psycopg's.


def version_of(**fields: Any) -> ProfileVersion:
    given = {"role_name": "SecurityReadOnlyRole", "managed_policies": ["ReadOnlyAccess"]} | fields
    return ProfileVersion(**given)
