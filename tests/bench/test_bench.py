"""The bench's server does what it claims, and every measure still works. Nothing here is timed."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from pytest_django.fixtures import Settings

from bench import dispatch, ends, measures, pages, results, server, sweeper, throughput
from bench.__main__ import MEASURES, chosen
from bench.aws import BURST, Limit, Record
from bench.figures import Failed, Figure, Line, Pairs, Skipped
from bench.measures import TINY
from bench.results import Part
from bench.server import Control, longest_chain

ACCOUNT = "123456789012"  # moto's own, which keys that nobody gave out belong to
ONCE = Config(retries={"total_max_attempts": 1})


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    with server.running(tmp_path_factory.mktemp("bench") / "aws.log") as control:
        yield control


@pytest.fixture
def bench_aws(running: Control, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Control:
    """The server, as the AWS that product and scripts find."""
    settings.CALLS_PER_SECOND = 1_000_000.0
    monkeypatch.setenv("AWS_ENDPOINT_URL", running.endpoint)
    monkeypatch.setenv("SALLYPORT_CALLS_PER_SECOND", "1000000")
    running.clear()
    return running


# --- The server ------------------------------------------------------------------------------


def test_every_call_is_recorded_with_what_it_sent(bench_aws: Control) -> None:
    iam = boto3.client("iam")
    iam.create_user(UserName="recorded")
    iam.get_user(UserName="recorded")
    first, second = bench_aws.calls()
    assert (first.action, second.action) == ("CreateUser", "GetUser")
    assert first.parameters["UserName"] == "recorded"
    assert first.account == ACCOUNT
    assert first.began < first.ended <= second.began


def test_calls_wait_as_long_as_they_are_told(bench_aws: Control) -> None:
    bench_aws.latency(30)
    boto3.client("iam").list_users()
    bench_aws.latency(0)
    (call,) = bench_aws.calls()
    assert call.ended - call.began >= 0.03


def test_what_was_filled_in_is_read_back_and_comes_in_pages(bench_aws: Control) -> None:
    users = [{"name": f"filled{n}", "id": f"AIDA{n:016}", "groups": ["all"]} for n in range(150)]
    groups = [{"name": "all", "path": "/sallyport/", "inline": {}, "managed": []}]
    bench_aws.fill(account=ACCOUNT, users=users, groups=groups)
    assert bench_aws.state(ACCOUNT)["users"]["filled7"] == ["all"]
    iam = boto3.client("iam")
    pages = list(iam.get_paginator("get_account_authorization_details").paginate(Filter=["User"]))
    assert len(pages) == 2
    assert len(pages[0]["UserDetailList"]) == 100
    names = [user["UserName"] for page in pages for user in page["UserDetailList"]]
    assert len(set(names)) == len(names)
    assert {user["name"] for user in users} <= set(names)


def test_one_call_more_than_an_account_takes_is_throttled(bench_aws: Control) -> None:
    iam = boto3.client("iam", config=ONCE)
    bench_aws.limit(0.001)
    try:
        for _ in range(BURST):
            iam.list_groups()
        with pytest.raises(ClientError) as caught:
            iam.list_groups()
    finally:
        bench_aws.limit(0)
    assert caught.value.response["Error"]["Code"] == "Throttling"
    assert bench_aws.calls()[-1].worked == 0


def test_a_limit_refills_with_time() -> None:
    limit = Limit(rate=2.0)
    assert all(limit.takes("one", 100.0) for _ in range(BURST))
    assert not limit.takes("one", 100.0)
    assert limit.takes("other", 100.0)
    assert limit.takes("one", 100.5)
    assert not limit.takes("one", 100.5)


# --- Reading the record ----------------------------------------------------------------------


def _record(began: float, ended: float) -> Record:
    return Record(began, ended, 0.0, ACCOUNT, "GetRole", 200, {})


def test_calls_beside_each_other_are_one_round_trip() -> None:
    assert longest_chain([]) == 0
    assert longest_chain([_record(0, 1), _record(0.5, 1.2), _record(1.2, 2)]) == 2


def test_a_ratio_is_that_of_neighbours() -> None:
    assert Pairs([2.0, 20.0, 3.0], [1.0, 10.0, 1.0]).ratio == 2.0


def test_the_table_says_which_goals_are_met() -> None:
    lines: list[Line] = [
        Figure("P1", "calls", 10, 10),
        Figure("P3", "times faster", 1.5, 2, at_least=True),
        Figure("P2", "shown only", 3),
        Skipped("P7", "not there yet"),
    ]
    rows = _part(lines).text.splitlines()[-4:]
    assert ["**not met**" in row for row in rows] == [False, True, False, False]
    assert "| met |" in rows[0]
    assert "not there yet" in rows[3]


# --- The results that are kept ---------------------------------------------------------------


def _part(lines: Sequence[Line], measure: str = "calls", size: str = "quick") -> Part:
    at = datetime(2026, 11, 24, 3, 21, tzinfo=UTC)
    return Part(measure, size, lines, at, seconds=1, load=0.5)


def test_a_run_of_one_measure_replaces_its_own_part_only(tmp_path: Path) -> None:
    _part([Figure("P1", "calls of then", 10)]).keep(tmp_path)
    _part([Figure("P13", "memory of then", 1)], "memory", "full").keep(tmp_path)
    _part([Figure("P1", "calls of now", 9)]).keep(tmp_path)
    text = results.assembled(MEASURES, tmp_path)
    assert "calls of now" in text
    assert "calls of then" not in text
    assert "memory of then" in text
    assert "`python -m bench --full --only memory`, 2026-11-24 03:21 UTC, 1 s; " in text


def test_a_run_that_measured_nothing_replaces_nothing(tmp_path: Path) -> None:
    _part([Figure("P1", "calls of then", 10)]).keep(tmp_path)
    _part([Skipped("P1", "not here")]).keep(tmp_path)
    assert "calls of then" in results.assembled(MEASURES, tmp_path)


def test_a_run_in_which_something_went_wrong_hides_no_longer_behind_an_older_one(
    tmp_path: Path,
) -> None:
    _part([Figure("P10", "clean-up of then", 2)], "ends").keep(tmp_path)
    part = _part([Failed("P10", "Not all grants had ended after 222 s.")], "ends")
    part.keep(tmp_path)
    assert part.went_wrong
    text = results.assembled(MEASURES, tmp_path)
    assert "**went wrong**: Not all grants had ended after 222 s." in text
    assert "clean-up of then" not in text


def test_the_results_are_made_of_their_parts() -> None:
    assert results.RESULTS.read_text() == results.assembled(MEASURES), (
        "Run: python -m bench --assemble"
    )


def test_a_measure_that_does_not_exist_is_named() -> None:
    assert chosen("memory,calls") == ["calls", "memory"]
    with pytest.raises(SystemExit, match=r"No measure is called pges; there are calls, time"):
        chosen("pges")


# --- The measures ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_every_measure_in_one_process_works(bench_aws: Control) -> None:
    lines = [
        *measures.calls_of_a_grant(bench_aws, TINY),
        *measures.time_of_a_grant(bench_aws, TINY),
        *measures.other_scripts(bench_aws, TINY),
        *measures.grants_in_parallel(bench_aws, TINY),
        *measures.memory(bench_aws, TINY),
    ]
    assert {line.number for line in lines} == {"P1", "P2", "P3", "P6", "P11", "P13"}
    calls = [line for line in lines if line.number == "P1" and isinstance(line, Figure)]
    assert all(line.met is not False for line in calls), calls


@pytest.mark.slow
@pytest.mark.system
@pytest.mark.django_db(transaction=True)
def test_every_measure_with_a_worker_works(bench_aws: Control, broker_url: str) -> None:
    lines = [
        *dispatch.through_the_broker(bench_aws, TINY),
        *throughput.grants_a_second(bench_aws, TINY),
        *ends.many_ends(bench_aws, TINY),
    ]
    assert {line.number for line in lines} == {"P4", "P5", "P6", "P10", "P12"}
    late = next(line for line in lines if isinstance(line, Figure) and line.number == "P10")
    assert late.met


@pytest.mark.slow
@pytest.mark.system
@pytest.mark.django_db(transaction=True)
def test_every_measure_with_databases_of_its_own_works(bench_aws: Control, broker_url: str) -> None:
    lines = [*sweeper.rounds(bench_aws, TINY), *pages.lists(bench_aws, TINY)]
    figures = [line for line in lines if isinstance(line, Figure)]
    assert len(figures) == len(lines)
    assert {one.number for one in figures} == {"sweep", "P8", "P9"}
    queries = [one for one in figures if one.what.startswith("queries of a round")]
    assert all(one.met for one in queries), queries
