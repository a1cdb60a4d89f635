"""Forms of proposals and of the second admin."""

from django import forms

from accounts.models import Proposal


class ReasonForm(forms.Form):
    """Why somebody decides on a proposal, or switches the second admin."""

    reason = forms.CharField(
        max_length=1000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="It stays in the audit log.",
    )


class ShowForm(forms.Form):
    """Which proposals a page lists."""

    show = forms.ChoiceField(
        label="Show",
        required=False,
        choices=[
            ("", "Waiting"),
            *((one.value, one.label) for one in Proposal.State if one != Proposal.State.OPEN),
            ("all", "All"),
        ],
    )
