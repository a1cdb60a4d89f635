"""What an approver sends: verdicts, other terms, questions."""

import re
from datetime import datetime, timedelta
from typing import Any

from django import forms

from accounts.aws_names import validate_one_line
from accounts.durations import MINUTE, in_words
from accounts.models import SHORTEST_GRANT
from provisioning.forms.common import lasting
from provisioning.models import AccessRequest, Decision

MOST = 20
"""Requests that may be decided at once: as many as somebody can still read on one page."""


class DecisionForm(forms.Form):
    """An approver's verdict."""

    verdict = forms.ChoiceField(choices=Decision.Verdict.choices, widget=forms.HiddenInput)
    fingerprint = forms.RegexField(r"^[0-9a-f]{64}$", widget=forms.HiddenInput)
    reason = forms.CharField(
        label="Note to the requester",
        max_length=500,
        required=False,
        validators=[validate_one_line],
        help_text="Required when you reject.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def clean(self) -> dict[str, Any]:
        """A rejection needs a reason: the requester must know what to do differently."""
        cleaned = super().clean() or {}
        if cleaned.get("verdict") == Decision.Verdict.REJECTED and not cleaned.get("reason"):
            self.add_error("reason", "Say why you reject, so that the requester knows what to do.")
        return cleaned


class TogetherForm(DecisionForm):
    """One verdict on several requests, each with the fingerprint of the plan that was shown."""

    fingerprint = None  # type: ignore[assignment]  # Each request has its own.
    picks = forms.Field(widget=forms.MultipleHiddenInput)

    def clean_picks(self) -> dict[str, str]:
        """By code, the fingerprint."""
        picks = self.cleaned_data["picks"]
        known = [one for one in picks if re.fullmatch(r"[a-z0-9]+:[0-9a-f]{64}", str(one))]
        if len(known) != len(picks) or len(known) > MOST:
            raise forms.ValidationError(f"Choose 1 to {MOST} requests on the page before this.")
        return dict(str(one).split(":") for one in known)


class TermsForm(forms.Form):
    """A shorter time, or a later start, than was asked for."""

    minutes = forms.IntegerField(label="How many minutes")
    starts_at = forms.DateTimeField(
        label="Start, in UTC",
        required=False,
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"],
        widget=forms.DateTimeInput(format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local"}),
        error_messages={"invalid": "Write a date and a time, such as 2026-11-30 08:00."},
        help_text="Leave it as it is unless it is to start later. This is UTC.",
    )
    why = forms.CharField(
        label="Why not as asked?",
        max_length=500,
        required=False,
        validators=[validate_one_line],
        help_text="The requester and the other approvers read this.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, asked: AccessRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        shortest, most = SHORTEST_GRANT // MINUTE, asked.duration // MINUTE
        field = self.fields["minutes"]
        field.initial = asked.lasts // MINUTE
        field.help_text = f"Between {shortest} min and {in_words(most)}, which was asked for."
        field.widget.attrs |= {"min": shortest, "max": most, "inputmode": "numeric"}
        self.fields["starts_at"].initial = asked.begins_at
        self._asked_start = asked.starts_at

    def clean_starts_at(self) -> datetime | None:
        """The control knows no seconds: a start that was left as it was is the one asked for."""
        typed: datetime | None = self.cleaned_data["starts_at"]
        asked = self._asked_start
        same = typed and asked and typed == asked.replace(second=0, microsecond=0)
        return asked if same else typed

    @property
    def duration(self) -> timedelta:
        """What was typed, once valid; beyond every bound where a timedelta would overflow."""
        return lasting(self.cleaned_data["minutes"])


class CommentForm(forms.Form):
    """A question, or an answer."""

    text = forms.CharField(
        label="Your question or answer",
        max_length=500,
        validators=[validate_one_line],
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="The requester, the approvers and auditors read this.",
    )
