"""Who may decide, change terms, ask and review in every stage: one table, with the exact words."""

from datetime import timedelta

import pytest

from accounts.models import Offer, User
from audit.clock import database_now
from provisioning import authz
from provisioning.models import AccessRequest
from tests.aws_world import decide
from tests.factories import AccessRequestFactory, ApprovalStageFactory, UserFactory

pytestmark = pytest.mark.django_db

OWN = "Nobody decides on their own request."
FOREIGN = "You are not an approver of this offer."
AUDITOR = "Auditors read everything and change nothing."
SAID = "You have decided on this plan already. Somebody else must approve it too."
FIRST = "The stage “Approval” is asked at this moment, and you are not named in it."
LATER = "The stage “Owner” is asked at this moment, and you are not named in it."
LAPSED = "This request has lapsed: nobody decided in time."
OFF = "Your account is switched off."

# Who decides, as long as nothing has happened; then after bob's approval of the first stage.
TABLE: dict[str, dict[str, tuple[str, ...]]] = {
    "asked": {
        "alice": (OWN, FOREIGN),
        "bob": (),
        "owner": (FIRST,),
        "charlie": (FOREIGN,),
        "dana": (FOREIGN,),
        "erin": (AUDITOR, FOREIGN),
        "leaver": (OFF, FIRST),
    },
    "approved once": {
        "alice": (OWN, FOREIGN),
        "bob": (SAID,),
        "second": (LATER,),
        "owner": (),
        "charlie": (FOREIGN,),
        "dana": (FOREIGN,),
        "erin": (AUDITOR, FOREIGN),
    },
    "lapsed": {"bob": (LAPSED,), "owner": (LAPSED,), "alice": (OWN, FOREIGN, LAPSED)},
} | {
    state: {
        who: (*before, f"This request is {state} already.")
        for who, before in {
            "alice": (OWN, FOREIGN),
            "bob": (),
            "owner": (),
            "charlie": (FOREIGN,),
            "dana": (FOREIGN,),
            "erin": (AUDITOR, FOREIGN),
        }.items()
    }
    for state in ("approved", "rejected", "cancelled", "expired")
}


@pytest.fixture
def people(
    offer: Offer, alice: User, bob: User, charlie: User, dana: User, erin: User
) -> dict[str, User]:
    """The cast, a second approver of the first stage, the owner who is asked after it, and one
    who approved until they were switched off."""
    more = {name: UserFactory.create(username=name) for name in ("second", "owner", "leaver")}
    first = offer.stages.get()
    first.people.add(more["second"], more["leaver"])
    User.objects.filter(pk=more["leaver"].pk).update(is_active=False)
    more["leaver"].refresh_from_db()
    ApprovalStageFactory.create(offer=offer, name="Owner", people=[more["owner"]])
    cast = (alice, bob, charlie, dana, erin)
    return {one.username: one for one in cast} | more


def bring_to(stage: str, request: AccessRequest, bob: User) -> AccessRequest:
    rows = AccessRequest.objects.filter(pk=request.pk)
    if stage == "approved once":
        assert decide(AccessRequest.objects.with_parties().get(pk=request.pk), bob) is None
    elif stage == "lapsed":
        rows.update(lapses_at=database_now() - timedelta(seconds=1))
    elif stage != "asked":
        rows.update(state=stage)
    return AccessRequest.objects.with_parties().get(pk=request.pk)


@pytest.mark.parametrize("stage", TABLE)
def test_who_may_decide_in_this_stage(
    stage: str, people: dict[str, User], offer: Offer, alice: User, bob: User
) -> None:
    made = AccessRequestFactory.create(offer=offer, requester=alice, approvals_needed=2)
    request, now = bring_to(stage, made, bob), database_now()

    answers = {who: authz.can_decide(people[who], request, now).reasons for who in TABLE[stage]}

    assert answers == TABLE[stage]
    # Terms belong to whoever may decide, and to nobody else.
    for who, reasons in TABLE[stage].items():
        assert authz.can_change_terms(people[who], request, now).reasons == reasons
