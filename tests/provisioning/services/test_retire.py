"""Taking accounts, pairs, offers and people out of use: what they gave ends first."""

from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts.forms import IdentityForm, OfferForm, PairForm
from accounts.models import AccountPair, AwsAccount, IamIdentity, Offer, User
from accounts.services.offers import StageWish, save_offer
from accounts.services.pairs import register_pair
from audit.clock import database_now
from audit.models import AuditEvent
from provisioning import lifecycle, services
from provisioning.engine import converge, retirement, switch_groups
from provisioning.models import AccessRequest, Grant
from provisioning.services import retire
from provisioning.sweep import Sweeper, due
from tests.aws_world import Approved, Aws, approve, refused_code
from tests.conftest import ClientFor
from tests.factories import (
    AccessRequestFactory,
    AccountPairFactory,
    AwsAccountFactory,
    GrantFactory,
    IamIdentityFactory,
    OfferFactory,
)

pytestmark = pytest.mark.django_db
SOURCE, TARGET = "111111111111", "222222222222"
GROUP = f"switch-to-{TARGET}"


def settle(grant: Grant) -> Grant:
    converge.converge(grant.pk)
    return Grant.objects.with_parties().get(pk=grant.pk)


def take_out(thing: retirement.Thing, actor: User, confirmation: str = "") -> None:
    retire.retire(
        actor=actor,
        thing=thing,
        confirmation=confirmation or retire.name_of(thing),
        reason="The contract is over.",
    )


def finish(pair: AccountPair) -> AccountPair:
    """Let a worker look at a retiring pair, and read the row again."""
    AccountPair.objects.filter(pk=pair.pk, next_check_at__isnull=False).update(
        next_check_at=database_now()
    )
    retirement.finish_pair(pair.pk)
    return AccountPair.objects.select_related("source", "target").get(pk=pair.pk)


def groups(aws: Aws) -> list[str]:
    pages = aws.admin(SOURCE).get_paginator("list_groups").paginate(PathPrefix="/sallyport/")
    return [group["GroupName"] for page in pages for group in page["Groups"]]


# --- Against AWS -----------------------------------------------------------------------------


def test_a_retired_pair_leaves_nothing_in_aws(
    approved: Approved, aws: Aws, pair: AccountPair, dana: User
) -> None:
    grant = settle(approved())
    aws.enter("userA", f"arn:aws:iam::{TARGET}:role/sallyport/{grant.role_name}")

    take_out(pair, dana)
    waits = finish(pair)
    assert (waits.retirement, groups(aws)) == ("retiring", [GROUP])
    grant = settle(grant)
    done = finish(pair)

    assert (grant.phase, grant.revoked_by) == ("ended", "dana")
    assert (done.retirement, done.retired_by, done.next_check_at) == ("retired", "dana", None)
    assert aws.issued_roles(TARGET) == []
    assert groups(aws) == []
    assert AuditEvent.objects.about(pair.subject).filter(kind="pair:retired").exists()


def test_a_group_that_other_pairs_share_loses_the_retired_target_only(
    aws: Aws, pair: AccountPair, dana: User
) -> None:
    other = AccountPairFactory.create(
        source=pair.source, target=AwsAccountFactory.create(), switch_group=GROUP
    )
    switch_groups.prepare_pair(pair.pk)

    take_out(pair, dana)
    done = finish(pair)

    answer = aws.admin(SOURCE).get_group_policy(GroupName=GROUP, PolicyName="SallyportSwitch")
    assert done.retirement == "retired"
    resources = answer["PolicyDocument"]["Statement"][0]["Resource"]  # type: ignore[index]
    assert resources == [f"arn:aws:iam::{other.target.account_id}:role/sallyport/*"]


def test_two_pairs_of_one_group_that_retire_together_remove_it(
    aws: Aws, pair: AccountPair, dana: User
) -> None:
    other = AccountPairFactory.create(
        source=pair.source, target=AwsAccountFactory.create(), switch_group=GROUP
    )
    switch_groups.prepare_pair(pair.pk)
    take_out(pair, dana)
    take_out(other, dana)

    assert finish(pair).retirement == "retired"
    assert groups(aws) == [GROUP]
    assert finish(other).retirement == "retired"
    assert groups(aws) == []


def test_a_group_with_somebody_in_it_is_emptied_of_permissions_and_left(
    aws: Aws, pair: AccountPair, dana: User
) -> None:
    switch_groups.prepare_pair(pair.pk)
    aws.admin(SOURCE).add_user_to_group(GroupName=GROUP, UserName="userC")
    take_out(pair, dana)

    done = finish(pair)

    assert done.retirement == "retired"
    assert groups(aws) == [GROUP]
    assert aws.admin(SOURCE).list_group_policies(GroupName=GROUP)["PolicyNames"] == []
    event = AuditEvent.objects.get(kind="pair:retired")
    assert event.reason == f"The group {GROUP} was left, without any permission: userC is in it."


def test_a_group_of_somebody_else_is_not_touched(aws: Aws, pair: AccountPair, dana: User) -> None:
    aws.admin(SOURCE).create_group(GroupName=GROUP)
    take_out(pair, dana)

    done = finish(pair)

    assert done.retirement == "retiring"
    assert "exists outside /sallyport/" in done.last_error
    assert aws.admin(SOURCE).get_group(GroupName=GROUP)["Group"]["Path"] == "/"


def test_a_pair_whose_group_was_never_made_retires(aws: Aws, pair: AccountPair, dana: User) -> None:
    take_out(pair, dana)
    assert finish(pair).retirement == "retired"


def test_an_account_that_shuts_us_out_stays_retiring_and_is_tried_again(
    aws: Aws, pair: AccountPair, dana: User
) -> None:
    switch_groups.prepare_pair(pair.pk)
    aws.admin(SOURCE).delete_role_policy(
        RoleName="SallyportProvisioner", PolicyName="SallyportProvisioner"
    )
    take_out(pair, dana)

    done = finish(pair)

    assert done.retirement == "retiring"
    assert "AccessDenied" in done.last_error
    assert done.next_check_at is not None


def test_a_retired_account_takes_its_pairs_along(
    approved: Approved, aws: Aws, pair: AccountPair, target: AwsAccount, dana: User
) -> None:
    grant = settle(approved())
    back = AccountPairFactory.create(source=target, target=pair.source)
    take_out(target, dana)
    target.refresh_from_db()
    assert target.retirement == "retiring"

    settle(grant)
    assert finish(pair).retirement == "retired"
    target.refresh_from_db()
    assert target.retirement == "retiring"
    assert finish(back).retirement == "retired"
    target.refresh_from_db()
    pair.source.refresh_from_db()

    assert (target.retirement, pair.source.retirement) == ("retired", "")
    assert aws.issued_roles(TARGET) == []
    assert groups(aws) == []


def test_a_person_who_is_switched_off_loses_their_access_at_once(
    approved: Approved, aws: Aws, alice: User, dana: User
) -> None:
    grant = settle(approved())
    session = aws.enter("userA", f"arn:aws:iam::{TARGET}:role/sallyport/{grant.role_name}")

    take_out(alice, dana)
    grant = settle(grant)

    alice.refresh_from_db()
    assert not alice.is_active
    assert (grant.phase, grant.revoke_reason) == ("ended", "The contract is over.")
    assert aws.groups_of(SOURCE, "userA") == {"Developers"}
    assert refused_code(lambda: aws.reads(session)) == "InvalidClientTokenId"


# --- Rows ------------------------------------------------------------------------------------


@pytest.fixture
def grant(offer: Offer, alice: User, bob: User) -> Grant:
    return GrantFactory.create(
        request__offer=offer, request__requester=alice, phase="active", approver=bob
    )


@pytest.fixture
def waiting(offer: Offer, alice: User) -> AccessRequest:
    return AccessRequestFactory.create(offer=offer, requester=alice)


THINGS: dict[str, Callable[[Offer], retirement.Thing]] = {
    "source": lambda offer: offer.pair.source,
    "target": lambda offer: offer.pair.target,
    "pair": lambda offer: offer.pair,
    "offer": lambda offer: offer,
    "person": lambda offer: offer.eligible_users.get(),
}


@pytest.mark.parametrize("kind", THINGS)
def test_everything_that_depends_on_it_ends_and_nothing_else(
    kind: str, offer: Offer, grant: Grant, waiting: AccessRequest, dana: User
) -> None:
    bystander = GrantFactory.create(phase="active")
    other = AccessRequestFactory.create()

    take_out(THINGS[kind](offer), dana)

    for row in (grant, waiting, bystander, other, offer):
        row.refresh_from_db()
    assert (grant.revoked_by, grant.revoke_reason) == ("dana", "The contract is over.")
    assert waiting.state == "cancelled"
    assert (bystander.revoked_at, other.state) == (None, "pending")
    assert offer.is_active == (kind == "person")


@pytest.mark.parametrize("kind", THINGS)
def test_without_its_name_typed_nothing_happens(
    kind: str, offer: Offer, grant: Grant, waiting: AccessRequest, dana: User
) -> None:
    with pytest.raises(ValidationError) as caught:
        take_out(THINGS[kind](offer), dana, confirmation="yes")

    assert caught.value.error_dict["confirmation"][0].code == "not_confirmed"
    grant.refresh_from_db()
    waiting.refresh_from_db()
    assert (grant.revoked_at, waiting.state) == (None, "pending")


@pytest.mark.parametrize("who", ["alice", "bob", "charlie", "erin"])
@pytest.mark.parametrize("kind", THINGS)
def test_only_admins_retire_and_the_refusal_is_recorded(
    kind: str, who: str, offer: Offer, request: pytest.FixtureRequest
) -> None:
    person: User = request.getfixturevalue(who)

    with pytest.raises(services.Refused) as caught:
        take_out(THINGS[kind](offer), person)

    assert "Only admins retire things." in caught.value.reasons
    event = AuditEvent.objects.get(kind__endswith=":retire:refused")
    assert (event.actor, event.reason) == (who, str(caught.value))


def test_nobody_switches_themselves_off(dana: User) -> None:
    with pytest.raises(services.Refused, match="You cannot switch yourself off"):
        take_out(dana, dana)


def test_what_is_approved_while_its_offer_is_retired_ends_as_well(
    offer: Offer, alice: User, bob: User, dana: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever decides holds the request, so retiring waits there, and then finds it moved."""
    request = AccessRequestFactory.create(offer=offer, requester=alice)

    def too_late(request: AccessRequest, *args: object, **facts: object) -> None:
        monkeypatch.undo()
        approve(request, bob)
        raise lifecycle.StaleState

    monkeypatch.setattr(lifecycle, "move_request", too_late)
    take_out(offer, dana)

    grant = Grant.objects.get(request=request)
    assert grant.revoked_by == "dana"


def test_what_is_out_of_use_is_not_retired_twice(offer: Offer, dana: User) -> None:
    take_out(offer.pair, dana)
    offer.pair.refresh_from_db()

    with pytest.raises(services.Refused, match="out of use already"):
        take_out(offer.pair, dana)


def test_an_account_in_no_pair_is_retired_at_once_and_can_be_brought_back(dana: User) -> None:
    account = AwsAccountFactory.create()
    take_out(account, dana)
    account.refresh_from_db()
    assert account.retirement == "retired"

    retire.bring_back(actor=dana, account=account)

    account.refresh_from_db()
    assert (account.retirement, account.retired_by) == ("", "")
    with pytest.raises(services.Refused, match="This account is not retired"):
        retire.bring_back(actor=dana, account=account)


def test_a_retired_pair_is_registered_anew_beside_the_old_one(
    pair: AccountPair, dana: User
) -> None:
    AccountPair.objects.filter(pk=pair.pk).update(retiring_at=database_now())
    with pytest.raises(ValidationError, match="These two accounts are a pair already"):
        register(pair, dana)
    AccountPair.objects.filter(pk=pair.pk).update(retired_at=database_now())

    assert register(pair, dana).pk != pair.pk
    with pytest.raises(ValidationError, match="These two accounts are a pair already"):
        register(pair, dana)


def register(pair: AccountPair, actor: User) -> AccountPair:
    new = AccountPair(source=pair.source, target=pair.target, switch_group=pair.switch_group)
    return register_pair(actor=actor, pair=new)


# --- Back doors ------------------------------------------------------------------------------


def test_the_sweeper_ends_the_access_of_somebody_switched_off_elsewhere(
    grant: Grant, waiting: AccessRequest, alice: User
) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)

    Sweeper().sweep()

    grant.refresh_from_db()
    waiting.refresh_from_db()
    assert (grant.revoked_by, grant.revoke_reason) == (
        "system:sweeper",
        "The person has been switched off.",
    )
    assert waiting.state == "cancelled"


def test_the_sweeper_ends_what_was_decided_in_the_moment_of_retirement(
    grant: Grant, waiting: AccessRequest, pair: AccountPair
) -> None:
    AccountPair.objects.filter(pk=pair.pk).update(retiring_at=database_now())

    retirement.close_stranded(database_now())

    grant.refresh_from_db()
    waiting.refresh_from_db()
    assert grant.revoke_reason == "The account pair has been retired."
    assert waiting.state == "cancelled"


def test_the_database_refuses_new_things_on_what_is_retired(
    offer: Offer, alice: User, pair: AccountPair
) -> None:
    now = database_now()
    asked = AccessRequestFactory.build(
        offer=offer,
        requester=alice,
        identity=IamIdentity.objects.get(person=alice),
        profile_version=offer.profile.current,
    )
    AccountPair.objects.filter(pk=pair.pk).update(retiring_at=now)
    AwsAccount.objects.update(retiring_at=now)
    attempts: dict[str, Callable[[], object]] = {
        "request_is_for_a_pair_in_use": asked.save,
        "offer_is_on_a_pair_in_use": lambda: OfferFactory.create(pair=pair),
        "pair_joins_accounts_in_use": lambda: AccountPairFactory.create(
            source=pair.target, target=pair.source
        ),
        "identity_is_in_an_account_in_use": lambda: IamIdentityFactory.create(account=pair.source),
        "pair_retirement_is_final": lambda: AccountPair.objects.update(retiring_at=None),
    }
    for rule, attempt in attempts.items():
        with pytest.raises(IntegrityError, match=rule), transaction.atomic():
            attempt()


def test_an_offer_of_a_retired_pair_is_not_opened_again(offer: Offer, dana: User) -> None:
    take_out(offer.pair, dana)
    offer = Offer.objects.get(pk=offer.pk)
    offer.is_active = True

    with pytest.raises(ValidationError) as caught:
        save_offer(
            actor=dana,
            offer=offer,
            eligible_users=[dana],
            stages=[StageWish(people=[dana])],
        )
    assert list(caught.value.message_dict) == ["is_active"]


def test_forms_leave_out_what_is_retired(offer: Offer, dana: User) -> None:
    take_out(offer.pair.source, dana)

    assert offer.pair.source not in PairForm().fields["source"].queryset  # type: ignore[attr-defined]
    assert not OfferForm().fields["pair"].queryset.exists()  # type: ignore[attr-defined]
    assert offer.pair.source not in IdentityForm().fields["account"].queryset  # type: ignore[attr-defined]


def test_a_retired_account_is_not_checked(source: AwsAccount, dana: User) -> None:
    AwsAccount.objects.filter(pk=source.pk).update(
        retiring_at=database_now(), retired_at=database_now()
    )
    source.refresh_from_db()

    with pytest.raises(services.Refused, match="This account is retired"):
        services.check_connection(asked_by="dana", account=source)
    assert not any(job.key.startswith("check:") for job in due(database_now()))


# --- Pages -----------------------------------------------------------------------------------

WHO = ["nobody", "alice", "bob", "charlie", "dana", "erin"]
PAGES = {
    "/accounts/111111111111/retire/": [302, 403, 403, 403, 200, 403],
    "/pairs/{pair}/retire/": [302, 403, 403, 403, 200, 403],
    "/offers/{offer}/retire/": [302, 403, 403, 403, 200, 403],
    "/people/{person}/retire/": [302, 403, 403, 403, 200, 403],
    "/accounts/111111111111/bring-back/": [302, 405, 405, 405, 405, 405],
    "/pairs/0/retire/": [302, 403, 403, 403, 404, 403],
    "/offers/0/retire/": [302, 403, 403, 403, 404, 403],
    "/people/0/retire/": [302, 403, 403, 403, 404, 403],
    "/accounts/999999999999/retire/": [302, 403, 403, 403, 404, 403],
}


@pytest.mark.parametrize("page", PAGES)
def test_who_may_open_and_post_which_page(
    page: str,
    offer: Offer,
    alice: User,
    charlie: User,
    dana: User,
    erin: User,
    client_for: ClientFor,
    request: pytest.FixtureRequest,
) -> None:
    url = page.format(offer=offer.pk, pair=offer.pair.pk, person=alice.pk)
    cast = [None if who == "nobody" else request.getfixturevalue(who) for who in WHO]

    assert [client_for(one).get(url).status_code for one in cast] == PAGES[page]
    posts = [{200: 422, 405: 403}.get(code, code) for code in PAGES[page]]
    if page.endswith("bring-back/"):
        posts[WHO.index("dana")] = 302
    assert [client_for(one).post(url).status_code for one in cast] == posts


def url_of(kind: str, offer: Offer) -> str:
    thing = THINGS[kind](offer)
    if isinstance(thing, AwsAccount):
        return f"/accounts/{thing.account_id}/retire/"
    path = {"pair": "pairs", "offer": "offers", "person": "people"}[kind]
    return f"/{path}/{thing.pk}/retire/"


@pytest.mark.parametrize("kind", THINGS)
def test_the_page_lists_what_depends_on_it_and_retires(
    kind: str,
    offer: Offer,
    grant: Grant,
    waiting: AccessRequest,
    dana: User,
    client_for: ClientFor,
) -> None:
    url = url_of(kind, offer)
    client = client_for(dana)
    text = client.get(url).content.decode()
    assert f'href="/requests/{grant.code}/"' in text
    assert f'href="/requests/{waiting.code}/"' in text
    assert "Revoke them all and" in text

    wrong = client.post(url, {"confirmation": "no", "reason": "Over."})
    assert wrong.status_code == 422
    assert f'href="/requests/{grant.code}/"' in wrong.content.decode()
    assert wrong.context["form"]["reason"].value() == "Over."
    name = retire.name_of(THINGS[kind](offer))
    done = client.post(url, {"confirmation": name, "reason": "Over."})

    assert done.status_code == 302
    grant.refresh_from_db()
    assert grant.revoked_by == "dana"
    Grant.objects.filter(pk=grant.pk).update(
        phase="ended", ended_at=database_now(), next_check_at=None
    )
    again = client.post(url, {"confirmation": name, "reason": "Over."})
    assert again.status_code == 409
    assert "This is out of use already" in again.content.decode()


def test_a_retired_account_is_brought_back_from_its_page(dana: User, client_for: ClientFor) -> None:
    account = AwsAccountFactory.create()
    take_out(account, dana)
    client = client_for(dana)
    assert "Bring it back" in client.get(account.get_absolute_url()).content.decode()

    client.post(f"/accounts/{account.account_id}/bring-back/")

    account.refresh_from_db()
    assert account.retirement == ""


def test_approvals_of_what_was_retired_meanwhile_are_refused(
    waiting: AccessRequest, bob: User, dana: User
) -> None:
    take_out(waiting.offer.pair, dana)

    with pytest.raises(services.Refused, match="This request is cancelled already"):
        approve(waiting, bob)
    assert not Grant.objects.exists()
