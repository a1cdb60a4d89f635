"""What documents depend on, read for one grant and for thousands."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.clock import database_now
from provisioning.models import AccessRequest, Grant
from provisioning.specs import spec_of_role, specs_of_roles
from tests.factories import (
    AccessRequestFactory,
    AccountPairFactory,
    GrantFactory,
    OfferFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db


def test_the_specs_of_many_roles_are_those_of_each() -> None:
    now, hour = database_now(), timedelta(hours=1)
    pair = AccountPairFactory.create()
    offers = [OfferFactory.create(pair=pair), OfferFactory.create(pair=pair), OfferFactory.create()]
    grants = [GrantFactory.create(request__offer=offer) for offer in (*offers, *offers)]
    later = now + hour
    GrantFactory.create(request__offer=offers[0], request__starts_at=later, starts_at=later)
    pinned = {"iam_user_id": "AIDAOTHER", "boundary_arn": "arn:aws:iam::222222222222:policy/Other"}
    GrantFactory.create(request__offer=offers[1], **pinned)
    shortened = AccessRequestFactory.create(offer=offers[2])
    AccessRequest.objects.filter(pk=shortened.pk).update(
        terms_duration=hour / 6, terms_by=UserFactory.create(), terms_at=now
    )
    AccessRequest.objects.filter(pk=shortened.pk).update(state="approved")
    shortened.refresh_from_db()
    GrantFactory.create(request=shortened, ends_at=now + hour / 6)
    Grant.objects.filter(pk=grants[0].pk).update(revoked_at=now)

    specs = dict(specs_of_roles(Grant.objects.all()))

    assert specs == {grant.pk: spec_of_role(grant) for grant in Grant.objects.all()}


def test_their_number_does_not_change_the_number_of_queries() -> None:
    offer = OfferFactory.create()
    for _ in range(3):
        GrantFactory.create(request__offer=offer)
        with CaptureQueriesContext(connection) as captured:
            assert len(list(specs_of_roles(Grant.objects.all()))) == Grant.objects.count()
        assert len(captured) == 4


@pytest.mark.parametrize(
    ("change", "settled"),
    [
        ({}, True),
        ({"settled_at": None}, False),
        ({"settled_at": timedelta(minutes=1)}, False),
        ({"reopened_at": timedelta()}, False),
        ({"revoked_at": timedelta()}, False),
        ({"starts_at": timedelta(minutes=1)}, False),
        ({"ends_at": timedelta(minutes=-1)}, False),
        ({"leased_until": timedelta(minutes=1)}, False),
        ({"leased_until": timedelta(minutes=-1)}, True),
    ],
)
def test_many_are_settled_as_one_is(change: dict[str, timedelta | None], settled: bool) -> None:
    now, hour = database_now(), timedelta(hours=1)
    values = {name: None if by is None else now + by for name, by in change.items()}
    row = {"starts_at": now - hour, "settled_at": now - hour, "ends_at": now + hour} | values
    grant = GrantFactory.create(**row)

    assert grant.is_settled_before(now, now) is settled
    assert Grant.objects.settled_before(now, now).exists() is settled
