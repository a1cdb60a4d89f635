"""What is typed to end access: one grant, what goes out of use, or all of a scope."""

from typing import Any

from django import forms

from accounts.aws_names import validate_one_line


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
