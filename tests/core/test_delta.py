"""What access adds to what a person has: nothing is counted twice, nothing is left out."""

from dataclasses import replace

from provisioning.core.delta import Delta, Held, difference

ASKED = Held(
    account_id="222222222222",
    account_name="Workload",
    role="Operator",
    policies=frozenset({"ReadOnlyAccess", "PowerUserAccess"}),
    statements=False,
    risks=("It changes things.", "It reads data."),
)
READS = replace(
    ASKED, role="Reader", policies=frozenset({"ReadOnlyAccess"}), risks=("It reads data.",)
)
ELSEWHERE = replace(ASKED, account_id="333333333333", account_name="Other")


def test_a_person_without_access_gets_a_new_account_and_all_of_it() -> None:
    assert difference(ASKED, []) == Delta(
        opens="Workload",
        beside=(),
        adds=("PowerUserAccess", "ReadOnlyAccess"),
        again=(),
        statements=False,
        risks=("It changes things.", "It reads data."),
    )


def test_access_to_another_account_takes_nothing_from_the_difference() -> None:
    assert difference(ASKED, [ELSEWHERE]) == difference(ASKED, [])


def test_only_what_no_role_in_the_account_has_is_new() -> None:
    delta = difference(ASKED, [READS, ELSEWHERE])

    assert delta.opens == ""
    assert (delta.adds, delta.again) == (("PowerUserAccess",), ("ReadOnlyAccess",))
    assert delta.risks == ("It changes things.",)
    assert delta.beside == (READS,)


def test_the_same_access_once_more_adds_nothing() -> None:
    assert difference(ASKED, [ASKED]).nothing_new
    assert not difference(ASKED, [READS]).nothing_new


def test_statements_of_its_own_are_never_called_nothing_new() -> None:
    asked = replace(ASKED, statements=True)

    assert not difference(asked, [asked]).nothing_new
