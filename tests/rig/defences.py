"""Ten defences that everything else rests on, how to take each away, and what has to notice.

`python -m tests.rig.mutants` takes them away one at a time, in a copy of the tree.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Edit:
    """A text that stands `times` times in a file, and what is put instead."""

    file: str
    old: str
    new: str
    times: int = 1


@dataclass(frozen=True)
class Defence:
    """`without` says what the product does when the defence is gone.

    `tests` go to pytest; `cases` are names for the rig's `--only`.
    """

    name: str
    without: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()


CONVERGE: Final = "tests/provisioning/engine/test_converge.py"
JUDGE: Final = "tests/judge/test_documents_by_judge.py"
PLAN: Final = "tests/core/test_plan.py"
RULES: Final = "tests/provisioning/test_database_rules.py"

DEFENCES: Final = (
    Defence(
        "the frozen plan hash",
        "a worker applies a plan that nobody approved",
        (
            Edit(
                "provisioning/engine/converge.py",
                "    if plan.fingerprint(decided) != grant.fingerprint:\n",
                "    if grant.fingerprint is None:\n",
            ),
        ),
        tests=(
            f"{CONVERGE}::test_a_changed_account_stops_the_grant_and_says_what_to_do",
            f"{CONVERGE}::test_an_identity_linked_anew_does_not_inherit_live_access",
        ),
    ),
    Defence(
        "the dated deny",
        "open sessions outlive the end",
        (
            Edit(
                "provisioning/core/plan.py",
                "    inline = {naming.END_POLICY: documents.dated_deny(spec.end)}\n",
                "    inline: dict[str, Document] = {}\n",
            ),
        ),
        tests=(
            f"{PLAN}::test_the_dated_deny_stands_before_any_permission",
            f"{JUDGE}::test_a_live_session_reads_before_the_end_and_is_denied_everything_from_it_on",
            f"{CONVERGE}::test_aws_refuses_at_the_end_although_nothing_of_ours_runs",
        ),
        cases=("kill:provision:calls provision:222222222222.CreateRole.1:after",),
    ),
    Defence(
        "the lease generation",
        "a worker that lost its claim goes on and records what it found",
        (
            Edit(
                "provisioning/lifecycle/claims.py",
                "        pk=grant.pk, generation=grant.generation, revoked_at=grant.revoked_at\n",
                "        pk=grant.pk, revoked_at=grant.revoked_at\n",
                times=2,
            ),
        ),
        tests=(
            "tests/provisioning/services/test_requests.py::test_a_claimed_grant_is_not_claimed_twice_until_the_lease_is_over",
            f"{CONVERGE}::test_a_worker_in_the_midst_does_not_take_back_what_a_person_asked_for",
        ),
    ),
    Defence(
        "the tag check before a change",
        "a role of our name that another installation made is changed and deleted",
        (
            Edit(
                "provisioning/core/plan.py",
                "    if found.role.path != naming.PATH or tags != wanted.owner_tags:\n",
                "    if found.role.path != naming.PATH:\n",
            ),
        ),
        tests=(
            f"{PLAN}::test_a_role_without_our_tags_is_never_touched",
            f"{CONVERGE}::test_a_role_of_the_same_name_that_is_not_ours_is_never_touched",
        ),
    ),
    Defence(
        "the self-approval constraint",
        "the database takes a decision on one's own request",
        (
            Edit(
                "provisioning/migrations/0002_rules.py",
                "            NEW.approver_id = (SELECT r.requester_id"
                " FROM provisioning_accessrequest r\n",
                "            NEW.approver_id = (SELECT -1 FROM provisioning_accessrequest r\n",
            ),
        ),
        tests=(
            f"{RULES}::test_a_decision_on_ones_own_request_is_refused_by_the_database",
            f"{RULES}::test_the_same_refusal_meets_plain_sql",
        ),
    ),
    Defence(
        "disarm first",
        "a removal begins with the clean-up, and locks out last",
        (
            Edit(
                "provisioning/engine/settle.py",
                "        self._lock_out()\n        if self._nobody",
                "        if self._nobody",
            ),
            Edit(
                "provisioning/core/plan.py",
                "        yield lock_out(name)\n    if found.member",
                "    if found.member",
            ),
        ),
        tests=(f"{PLAN}::test_removal_disarms_first_and_permissions_go_before_the_deny",),
        cases=("kill:revoke:calls revoke:222222222222.DetachRolePolicy.1:before",),
    ),
    Defence(
        "the read-back before ended",
        "a step that was answered counts as the state of AWS",
        (
            Edit(
                "provisioning/engine/settle.py",
                "                self.assumed = self._apply(clients, todo, found)\n"
                "                return False\n",
                "                self.assumed = self._apply(clients, todo, found)\n"
                "                self._record(wanted, ())\n"
                "                return True\n",
            ),
        ),
        tests=(
            "tests/rig/test_stale.py::test_a_removal_that_was_answered_is_ended_only_when_a_read_finds_nothing",
        ),
        cases=("spoiled:provision provision:222222222222.CreateRole.1:cut",),
    ),
    Defence(
        "the session policy",
        "a session may change every object of ours in its account",
        (
            Edit(
                "provisioning/aws/sessions.py",
                "    if policy is not None:\n",
                "    if policy is not None and not policy:\n",
            ),
        ),
        tests=("tests/provisioning/aws/test_sessions.py",),
    ),
    Defence(
        "the sweep without a broker",
        "with Redis gone nothing is revoked and nothing ends",
        (
            Edit(
                "provisioning/sweep.py",
                "            job.work(job.pk)\n",
                "            tasks.nudge(job.task, job.pk)\n",
            ),
        ),
        tests=(
            "tests/provisioning/engine/test_sweep.py::test_without_a_broker_the_sweeper_does_the_work_itself",
            "tests/provisioning/engine/test_sweep.py::test_when_no_worker_takes_up_a_nudge_the_sweeper_does_the_work_itself",
        ),
    ),
    Defence(
        "the boundary",
        "issued roles are made without the limit that the account's owner set",
        (
            Edit(
                "provisioning/aws/iam.py",
                "        PermissionsBoundary=step.boundary_arn,\n        MaxSession",
                "        MaxSession",
            ),
        ),
        tests=(
            f"{CONVERGE}::test_what_stands_in_aws_is_one_user_until_the_end_within_the_boundary",
        ),
    ),
)
