"""Parse input into types. No writes, no rights: services and authz have those."""

from datetime import datetime, timedelta
from typing import Any

from django import forms

from accounts.aws_names import validate_one_line
from accounts.durations import MINUTE, in_words
from accounts.models import SHORTEST_GRANT, AwsAccount
from provisioning.models import Decision

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
    field_order = ("confirmation", "reason")

    def __init__(self, name: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["confirmation"].label = f"Type “{name}” to confirm"


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
