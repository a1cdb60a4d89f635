"""Parse input into types. No writes, no rights: services and authz have those."""

import re
from datetime import datetime, timedelta
from typing import Any

from django import forms

from accounts.aws_names import validate_one_line
from accounts.durations import MINUTE, in_words
from accounts.models import SHORTEST_GRANT, AwsAccount
from provisioning.models import AccessRequest, Decision

MOST = 20
"""Requests that may be decided at once: as many as somebody can still read on one page."""

PRESETS = (15, 30, 60, 120, 240, 480, 720, 1440)
"""Minutes offered as a choice, trimmed to what the offer allows."""


MINUTES_LIMIT = 1_000_000
"""Beyond every offer; longer input would overflow a timedelta."""


class ExtendForm(forms.Form):
    """How much more time, and why."""

    minutes = forms.IntegerField(label="How many minutes more")
    reason = forms.CharField(
        label="Why do you need more time?",
        max_length=500,
        validators=[validate_one_line],
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="Approvers read this, and it stays in the audit log.",
    )

    def __init__(self, ends_at: datetime, longest: timedelta, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        shortest, most = SHORTEST_GRANT // MINUTE, longest // MINUTE
        self.presets = [
            {"minutes": one, "words": in_words(one), "ends_at": ends_at + one * MINUTE}
            for one in PRESETS
            if one <= most
        ]
        field = self.fields["minutes"]
        field.initial = max((one for one in PRESETS if one <= min(most, 60)), default=most)
        field.help_text = f"Between {shortest} min and {in_words(most)} at this moment."
        field.widget.attrs |= {
            "min": shortest,
            "max": most,
            "inputmode": "numeric",
            "list": "durations",
            "data-adds-to": f"{ends_at:%Y-%m-%dT%H:%M:%SZ}",
        }

    @property
    def duration(self) -> timedelta:
        """What was asked for, once valid; beyond every bound where a timedelta would overflow."""
        return timedelta(minutes=min(max(self.cleaned_data["minutes"], 0), MINUTES_LIMIT))


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
        return timedelta(minutes=min(max(self.cleaned_data["minutes"], 0), MINUTES_LIMIT))


class CommentForm(forms.Form):
    """A question, or an answer."""

    text = forms.CharField(
        label="Your question or answer",
        max_length=500,
        validators=[validate_one_line],
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="The requester, the approvers and auditors read this.",
    )


class RevokeForm(forms.Form):
    """Why access ends early."""

    reason = forms.CharField(
        label="Reason",
        max_length=500,
        validators=[validate_one_line],
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="It stays in the audit log; the holder sees it.",
    )


class GiveBackForm(RevokeForm):
    """One's own access needs no reason to be given back."""

    reason = forms.CharField(
        label="Note", max_length=500, required=False, validators=[validate_one_line]
    )


class RetireForm(RevokeForm):
    """The thing's name, typed, and why it goes out of use."""

    confirmation = forms.CharField(
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    field_order: tuple[str, ...] = ("confirmation", "reason")

    def __init__(self, name: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["confirmation"].label = f"Type “{name}” to confirm"


class StopForm(RetireForm):
    """The red button: what ends, typed, and why; whether new requests are paused too."""

    key = forms.UUIDField(widget=forms.HiddenInput)
    """Made with the page, so that a form that is sent twice is one press."""
    pause = forms.BooleanField(
        label="Pause new requests here until an admin lifts it",
        required=False,
        help_text="Nobody can ask, and nothing can be approved or taken in an emergency.",
    )
    field_order: tuple[str, ...] = ("confirmation", "reason", "pause")

    def __init__(self, name: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(name, *args, **kwargs)
        self.fields["reason"].help_text = "It stays in the audit log; every holder sees it."


class StopSearchForm(forms.Form):
    """Finds whose access is to end."""

    q = forms.CharField(label="Person, account or pair", required=False, max_length=64)


class GrantFilterForm(forms.Form):
    """Narrows the list of grants. Unknown values are errors, not silently everything."""

    q = forms.CharField(label="Person, account or role", required=False, max_length=64)
    show = forms.ChoiceField(
        label="Show",
        required=False,
        choices=[
            ("", "Live"),
            ("attention", "Needs attention"),
            ("scheduled", "Scheduled"),
            ("ending", "Ending"),
            ("ended", "Ended"),
        ],
    )


class DriftFilterForm(forms.Form):
    """Narrows the findings. Unknown values are errors, not silently everything."""

    account = forms.ModelChoiceField(
        queryset=AwsAccount.objects.order_by("name"),
        to_field_name="account_id",
        required=False,
        empty_label="All accounts",
    )
    kind = forms.ChoiceField(
        label="Class",
        required=False,
        choices=[
            ("", "All"),
            ("widened", "Widened"),
            ("narrowed", "Narrowed"),
            ("orphan", "Orphans"),
            ("unknown", "Not ours"),
        ],
    )


class RepairForm(forms.Form):
    """Why access is given back."""

    reason = forms.CharField(
        label="Note",
        max_length=500,
        required=False,
        validators=[validate_one_line],
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="It stays in the audit log; the holder sees it.",
    )
