"""Joining two accounts."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import AccountPair, AwsAccount, User
from audit.models import AuditEvent
from tests.accounts.helpers import page, refused
from tests.conftest import ClientFor
from tests.factories import AccountPairFactory, AwsAccountFactory, OfferFactory

NEW = reverse("accounts:pair-new")
LIST = reverse("accounts:pairs")


@pytest.fixture
def admin(dana: User, client_for: ClientFor) -> Client:
    return client_for(dana)


def _typed(source: AwsAccount, target: AwsAccount, group: str = "") -> dict[str, str | int]:
    return {"source": source.pk, "target": target.pk, "switch_group": group}


def test_a_pair_is_registered_with_a_switch_group_of_its_own(
    admin: Client, source: AwsAccount, target: AwsAccount
) -> None:
    assert admin.post(NEW, _typed(source, target))["Location"] == LIST
    assert AccountPair.objects.get().switch_group == "switch-to-222222222222"
    event = AuditEvent.objects.get()
    assert (event.kind, event.actor) == ("pair:registered", "dana")


def test_both_directions_are_pairs_of_their_own(
    admin: Client, source: AwsAccount, target: AwsAccount
) -> None:
    assert admin.post(NEW, _typed(source, target)).status_code == 302
    assert admin.post(NEW, _typed(target, source)).status_code == 302
    assert AccountPair.objects.count() == 2


def test_pairs_of_one_source_may_share_a_group(
    admin: Client, source: AwsAccount, target: AwsAccount
) -> None:
    AccountPairFactory.create(source=source, switch_group="Switchers")
    assert admin.post(NEW, _typed(source, target, "Switchers")).status_code == 302


def test_a_group_that_differs_by_case_only_is_refused(
    admin: Client, source: AwsAccount, target: AwsAccount
) -> None:
    AccountPairFactory.create(source=source, target__name="Logs", switch_group="Switchers")
    told = refused(admin, NEW, _typed(source, target, "switchers"))
    message = "Write it as Switchers, like Identity → Logs: IAM ignores case in names."
    assert told == {"switch_group": [(message, "group_case")]}


def test_the_same_group_name_in_another_source_is_another_group(
    admin: Client, source: AwsAccount, target: AwsAccount
) -> None:
    AccountPairFactory.create(switch_group="Switchers")
    assert admin.post(NEW, _typed(source, target, "switchers")).status_code == 302


def test_a_pair_of_one_account_is_refused(admin: Client, source: AwsAccount) -> None:
    told = refused(admin, NEW, _typed(source, source))
    message = "Source and target must be two accounts."
    assert told == {"target": [(message, "pair_source_is_not_target")]}


def test_a_pair_is_registered_once(admin: Client, pair: AccountPair) -> None:
    told = refused(admin, NEW, _typed(pair.source, pair.target))
    assert told == {"target": [("These two accounts are a pair already.", "pair_is_unique")]}


def test_accounts_of_two_partitions_are_no_pair(admin: Client, source: AwsAccount) -> None:
    china = AwsAccountFactory.create(name="Beijing", account_id="333333333333", partition="aws-cn")
    told = refused(admin, NEW, _typed(source, china))
    message = (
        "Beijing (333333333333) is in another AWS partition than Identity (111111111111); "
        "roles cannot be entered across partitions."
    )
    assert told == {"target": [(message, "other_partition")]}
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize(
    ("group", "message", "code"),
    [
        (
            "has space",
            "An IAM group name has 1 to 128 letters, digits or + = , . @ _ - and no spaces.",
            "malformed_group_name",
        ),
        (
            "x" * 101,
            "Ensure this value has at most 100 characters (it has 101).",
            "max_length",
        ),
    ],
)
def test_a_malformed_group_is_refused(
    admin: Client, source: AwsAccount, target: AwsAccount, group: str, message: str, code: str
) -> None:
    told = refused(admin, NEW, _typed(source, target, group))
    assert told == {"switch_group": [(message, code)]}


def test_nothing_typed_is_lost_when_a_pair_is_refused(admin: Client, source: AwsAccount) -> None:
    AwsAccountFactory.create()
    response = admin.post(NEW, _typed(source, source, "My-group"))
    form = response.context["form"]
    assert form["switch_group"].value() == "My-group"
    selected = f'<option value="{source.pk}" selected>Identity (111111111111)</option>'
    assert response.content.decode().count(selected) == 2


def test_the_form_waits_for_two_accounts(admin: Client, source: AwsAccount) -> None:
    assert "A pair needs two accounts" in page(admin, NEW)
    AwsAccountFactory.create()
    assert "A pair needs two accounts" not in page(admin, NEW)


def test_the_empty_list_says_what_to_do_next(
    admin: Client, erin: User, client_for: ClientFor
) -> None:
    assert f'href="{NEW}"' in page(admin, LIST)
    assert "An admin joins two accounts here." in page(client_for(erin), LIST)


def test_the_list_counts_the_offers_of_a_pair(admin: Client, pair: AccountPair) -> None:
    OfferFactory.create_batch(3, pair=pair)
    OfferFactory.create()
    counts = [one.offer_count for one in admin.get(LIST).context["page_obj"]]
    assert sorted(counts) == [1, 3]
