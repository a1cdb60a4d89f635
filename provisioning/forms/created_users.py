"""The form that asks for an IAM user."""

from typing import Any, ClassVar

from django import forms

from accounts.forms import IdentityForm
from accounts.models import AwsAccount


class CreateUserForm(IdentityForm):
    """Has an IAM user made for a person, in an account that allows it."""

    class Meta(IdentityForm.Meta):
        help_texts: ClassVar = {
            "account": "Only accounts that allow Sallyport to create IAM users are here.",
            "user_name": "Free in this account, whatever its case. The person signs in with it. "
            "Leave it empty for their user name here.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["account"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101  # For the type.
        field.queryset = AwsAccount.objects.filter(may_create_users=True).order_by("name")
        self.fields["user_name"].required = False

    def clean_user_name(self) -> str:
        """The name typed, or the person's own."""
        person = self.cleaned_data.get("person")
        return str(self.cleaned_data["user_name"] or (person.username if person else ""))
