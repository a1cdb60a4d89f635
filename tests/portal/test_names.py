"""Long names go on in the next line where a reader would part them."""

import pytest
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from portal.templatetags.names import FITS, as_actor, breakable, by_actor


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("SecurityReadOnlyRole", "SecurityReadOnlyRole"),
        ("SecurityReadOnlyRoleX1", "Security<wbr>Read<wbr>Only<wbr>Role<wbr>X1"),
        ("production-eu-central-1", "production-<wbr>eu-<wbr>central-<wbr>1"),
        (
            "arn:aws:iam::1:role/IAMReader",
            "arn:<wbr>aws:<wbr>iam::<wbr>1:<wbr>role/<wbr>IAM<wbr>Reader",
        ),
        (
            "The AuditorsReadOnlyArchive",
            "The Auditors<wbr>Read<wbr>Only<wbr>Archive",
        ),
        ("maximiliane.w@example.com", "maximiliane.<wbr>w@<wbr>example.<wbr>com"),
    ],
)
def test_a_long_word_may_be_parted_where_a_reader_would(name: str, shown: str) -> None:
    assert breakable(name) == shown


def test_what_fits_everywhere_stays_whole() -> None:
    assert breakable("aB" * (FITS // 2)) == "aB" * (FITS // 2)


@pytest.mark.parametrize("name", ["<b>&", "<script>alertTheReaderOfThisPage</script>", "a<b " * 9])
def test_every_part_of_a_name_is_escaped(name: str) -> None:
    shown = breakable(name).replace("<wbr>", "")
    assert "<" not in shown
    assert shown == name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@pytest.mark.parametrize(
    ("name", "first", "inside"),
    [
        ("bob", "Bob Brandt", "by Bob Brandt"),
        ("eve", "eve", "by eve"),
        ("system:worker", "A worker", "by a worker"),
        ("system:sweeper", "The sweeper", "by the sweeper"),
    ],
    ids=["known", "gone", "a part", "another part"],
)
def test_who_did_something_is_named_in_full_as_far_as_that_is_known(
    name: str, first: str, inside: str
) -> None:
    labels = {"bob": "Bob Brandt"}
    assert as_actor(name, labels) == first
    assert by_actor(name, labels) == inside


@pytest.mark.django_db
def test_names_of_many_people_are_read_in_one_go_and_of_nobody_in_none(
    alice: User, bob: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    User.objects.filter(pk=bob.pk).update(first_name="", last_name="")
    with django_assert_num_queries(1):
        found = User.objects.labels_of(["alice", "bob", "alice", "eve", "system:worker", ""])
    assert found == {"alice": "Alice Ashby", "bob": "bob"}
    with django_assert_num_queries(0):
        assert User.objects.labels_of([]) == {}
