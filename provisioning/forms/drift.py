"""What is typed about drift: which findings to see, and why access is given back."""

from django import forms

from accounts.aws_names import validate_one_line
from accounts.models import AwsAccount


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
