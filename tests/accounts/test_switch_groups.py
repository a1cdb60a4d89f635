"""Switch groups shared by pairs: AWS's limits are told before anything fails."""

import pytest
from django.core.exceptions import ValidationError

from accounts import switch_groups
from accounts.models import AccountPair, AwsAccount, IamIdentity, User
from accounts.services.pairs import register_pair
from provisioning.core import documents
from tests.conftest import ClientFor
from tests.factories import AccountPairFactory, AwsAccountFactory, OfferFactory

PARTITIONS = ["aws", "aws-us-gov", "aws-cn", "aws-eusc"]


@pytest.mark.parametrize("partition", PARTITIONS)
@pytest.mark.parametrize("targets", [0, 1, 2, 50, 150])
def test_the_size_is_that_of_the_policy_that_is_written(partition: str, targets: int) -> None:
    policy = documents.switch_policy(
        partition=partition, targets=[f"{one:012}" for one in range(targets)]
    )
    assert switch_groups.policy_size(partition, targets) == len(documents.dumps(policy))


@pytest.mark.parametrize("partition", PARTITIONS)
def test_the_most_targets_fit_and_one_more_does_not(partition: str) -> None:
    most = switch_groups.most_targets(partition)
    assert switch_groups.policy_size(partition, most) <= switch_groups.POLICY_LIMIT
    assert switch_groups.policy_size(partition, most + 1) > switch_groups.POLICY_LIMIT


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that three targets fill."""
    monkeypatch.setattr(switch_groups, "POLICY_LIMIT", switch_groups.policy_size("aws", 3))


def shared(source: AwsAccount, number: int) -> list[AccountPair]:
    return [AccountPairFactory.create(source=source, switch_group="shared") for _ in range(number)]


def test_a_pair_that_a_full_group_cannot_take_is_refused_at_the_field(
    small: None, source: AwsAccount, dana: User, client_for: ClientFor
) -> None:
    shared(source, 3)
    target = AwsAccountFactory.create()
    pair = AccountPair(source=source, target=target, switch_group="shared")
    with pytest.raises(ValidationError) as caught:
        register_pair(actor=dana, pair=pair)
    assert caught.value.error_dict["switch_group"][0].code == "group_full"

    answer = client_for(dana).post(
        "/registry/pairs/new/",
        {"source": source.pk, "target": target.pk, "switch_group": "shared"},
    )
    assert answer.status_code == 422
    assert "shared is full: it has 3 targets" in answer.content.decode()


def test_the_last_pair_that_fits_is_taken(small: None, source: AwsAccount, dana: User) -> None:
    shared(source, 2)
    pair = AccountPair(source=source, target=AwsAccountFactory.create(), switch_group="shared")
    assert register_pair(actor=dana, pair=pair).pk


def test_the_list_shows_the_use_above_half(
    small: None, source: AwsAccount, dana: User, client_for: ClientFor
) -> None:
    shared(source, 3)
    assert "100 % of what AWS lets" in client_for(dana).get("/registry/pairs/").content.decode()


def test_the_list_is_silent_about_groups_with_room(
    pair: AccountPair, dana: User, client_for: ClientFor
) -> None:
    assert "of what AWS lets" not in client_for(dana).get("/registry/pairs/").content.decode()


def test_a_group_more_than_a_user_can_be_in_is_warned_of_and_can_be_made_all_the_same(
    source: AwsAccount, identity: IamIdentity, bob: User, dana: User, client_for: ClientFor
) -> None:
    for number in range(10):
        pair = AccountPairFactory.create(source=source, switch_group=f"group{number}")
        OfferFactory.create(pair=pair, eligible_users=[identity.person], approver_users=[bob])
    form = {"source": source.pk, "target": AwsAccountFactory.create().pk, "switch_group": ""}
    client = client_for(dana)

    warned = client.post("/registry/pairs/new/", form)
    assert warned.status_code == 422
    assert "Alice Ashby" in warned.content.decode()
    assert AccountPair.objects.count() == 10

    assert client.post("/registry/pairs/new/", form | {"switch_group": "group3"}).status_code == 302
    form |= {"target": AwsAccountFactory.create().pk, "own_group_anyway": "on"}
    assert client.post("/registry/pairs/new/", form).status_code == 302
