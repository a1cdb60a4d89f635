"""What is typed in an emergency, and by those who review it."""

from datetime import timedelta
from typing import Any

from django import forms

from accounts.aws_names import validate_one_line
from accounts.durations import MINUTE, in_words
from provisioning.forms.common import lasting
from provisioning.models import Review


class BreakGlassForm(forms.Form):
    """What is taken in an emergency: how long, and why."""

    minutes = forms.IntegerField(label="How many minutes")
    reason = forms.CharField(
        label="What is the emergency?",
        max_length=500,
        validators=[validate_one_line],
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="Everybody who approves this offer is told, and two of them review it. "
        "For example: production is down, incident INC-77.",
    )

    def __init__(self, longest: timedelta, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        most = longest // MINUTE
        field = self.fields["minutes"]
        field.initial = min(30, most)
        field.help_text = f"Between 5 min and {in_words(most)}. The time starts now."
        field.widget.attrs |= {"min": 5, "max": most, "inputmode": "numeric"}

    @property
    def duration(self) -> timedelta:
        """What was typed, once valid; beyond every bound where a timedelta would overflow."""
        return lasting(self.cleaned_data["minutes"])


class ReviewForm(forms.Form):
    """Whether it was right to take access in an emergency."""

    finding = forms.ChoiceField(
        label="Was it right to take it?", choices=Review.Verdict.choices, widget=forms.RadioSelect
    )
    note = forms.CharField(
        label="What did you look at?",
        max_length=500,
        validators=[validate_one_line],
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="For example: the incident was real, and CloudTrail shows only its repair.",
    )
