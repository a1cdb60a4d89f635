"""Permissions while they are typed: what the editor shows beside its field. Nothing is kept."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from django.core.exceptions import ValidationError

from accounts import inline_policy
from accounts.aws_names import managed_policy_names
from accounts.permissions import positions
from accounts.permissions.lint import INLINE_MAX, Finding, Report, review

TOLD_BY_STRUCTURE: Final = {"principal", "not-action"}
"""Findings that `inline_policy` has told already, in its own words."""
LONGEST_TEXT: Final = 100_000
"""Characters that are looked at: ten times what AWS takes, white space included."""


@dataclass(frozen=True)
class Row:
    """A finding with the line that it is about, where that is known."""

    finding: Finding
    line: int | None


@dataclass(frozen=True)
class Draft:
    """Two fields as they were typed."""

    managed_text: str
    inline_text: str
    confirmed: str = ""
    """The digest of the risks that were ticked."""

    @cached_property
    def _managed(self) -> tuple[list[str], list[str]]:
        lines = [line for line in self.managed_text.splitlines() if line.strip()]
        try:
            return managed_policy_names(lines[:50]), []
        except ValidationError as error:
            return [], error.messages

    @cached_property
    def _inline(self) -> tuple[dict[str, Any] | None, list[str]]:
        """The document, as far as it is one, and what is wrong with it."""
        if not self.inline_text.strip():
            return None, []
        if len(self.inline_text) > LONGEST_TEXT:
            return None, [f"The text has more than {LONGEST_TEXT:,} characters."]
        try:
            return inline_policy.parse(self.inline_text), []
        except ValidationError as error:
            return self._whatever_it_is(), error.messages

    def _whatever_it_is(self) -> dict[str, Any] | None:
        """A document that has other faults is looked at all the same, so that all are told."""
        try:
            document = json.loads(self.inline_text)
        except (ValueError, RecursionError):
            return None
        # Too deep to be looked at is refused with that as its reason.
        too_deep = (
            isinstance(document, dict) and inline_policy.depth(document) > inline_policy.MAX_DEPTH
        )
        return document if isinstance(document, dict) and not too_deep else None

    @property
    def problems(self) -> Sequence[str]:
        """What keeps the fields from being read, as sentences."""
        return [*self._managed[1], *self._inline[1]]

    @cached_property
    def report(self) -> Report:
        """The report on what could be read."""
        return review(self._managed[0], self._inline[0])

    @property
    def is_empty(self) -> bool:
        """Nothing was typed yet."""
        return not self.managed_text.strip() and not self.inline_text.strip()

    @property
    def is_readable(self) -> bool:
        """Whether the report is about all that was typed."""
        return not self.problems

    @property
    def refused(self) -> list[Row]:
        """What must be mended."""
        told = TOLD_BY_STRUCTURE if self._inline[1] else set()
        return self._rows(one for one in self.report.refused if one.key not in told)

    @property
    def risky(self) -> list[Row]:
        """What must be read and confirmed."""
        return self._rows(self.report.risky)

    @property
    def notes(self) -> list[Row]:
        """What is good to know."""
        return self._rows(self.report.notes)

    def _rows(self, findings: Any) -> list[Row]:
        return [Row(one, self._line(one)) for one in findings]

    def _line(self, finding: Finding) -> int | None:
        if finding.statement is None:
            return None
        return positions.line_of(self.inline_text, finding.statement, finding.action)

    @property
    def size(self) -> str:
        """`312 of 10,240 characters`; empty without an inline policy."""
        length = self.report.inline_size
        return f"{length:,} of {INLINE_MAX:,} characters" if length else ""

    @property
    def is_confirmed(self) -> bool:
        """Whether exactly these risks were ticked."""
        return self.confirmed == self.report.digest


EXAMPLES: Final = (
    (
        "Read one bucket",
        {
            "Sid": "ReadOneBucket",
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:ListBucket"],
            "Resource": ["arn:aws:s3:::BUCKET", "arn:aws:s3:::BUCKET/*"],
        },
    ),
    (
        "Read the logs of one application",
        {
            "Sid": "ReadLogs",
            "Effect": "Allow",
            "Action": [
                "logs:DescribeLogStreams",
                "logs:FilterLogEvents",
                "logs:GetLogEvents",
            ],
            "Resource": "arn:aws:logs:*:*:log-group:/NAME/*",
        },
    ),
    (
        "Restart machines with a tag",
        {
            "Sid": "RestartTagged",
            "Effect": "Allow",
            "Action": ["ec2:RebootInstances", "ec2:StartInstances", "ec2:StopInstances"],
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:ResourceTag/team": "NAME"}},
        },
    ),
    (
        "Take data out of a managed policy",
        {
            "Sid": "NoStoredData",
            "Effect": "Deny",
            "Action": ["s3:GetObject*", "dynamodb:Query", "dynamodb:Scan", "dynamodb:*Item"],
            "Resource": "*",
        },
    ),
)


def examples() -> list[tuple[str, str]]:
    """Policies to begin from, as they are typed, with a name each."""
    version = inline_policy.POLICY_VERSION
    return [
        (name, json.dumps({"Version": version, "Statement": [statement]}, indent=2))
        for name, statement in EXAMPLES
    ]
