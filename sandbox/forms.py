"""What is typed into the pages that stand for the AWS console."""

import re
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError

from accounts.aws_names import NAME, Tone, validate_account_id, validate_one_line
from provisioning.core.console import DISPLAY_NAME_LIMIT
from provisioning.core.naming import CONSOLE_LIMIT
from sandbox.world import ACCOUNT_NAMES, IamUser

ROLE_WITH_PATH: Final = re.compile(r"(?:[\x21-\x2E\x30-\x7E]+/)*" + NAME + r"{1,64}", re.ASCII)
PLAIN: Final = ("", "No colour")


def validate_role_with_path(text: str) -> None:
    """A role as the console wants it: path and name, without the first slash [AWS-FACTS 1.3]."""
    if ROLE_WITH_PATH.fullmatch(text) is None:
        raise ValidationError(
            "A role is its path and name without a slash in front, such as sallyport/Auditor.",
            code="malformed_role_name",
        )
    if len(f"/{text}") > CONSOLE_LIMIT:
        raise ValidationError(
            f"The console cannot switch to a role whose path and name have more than "
            f"{CONSOLE_LIMIT} characters.",
            code="role_name_too_long",
        )


class SwitchRoleForm(forms.Form):
    """The console's Switch Role form. The names of the fields are AWS's."""

    account = forms.CharField(max_length=12, validators=[validate_account_id])
    roleName = forms.CharField(label="IAM role name", validators=[validate_role_with_path])
    displayName = forms.CharField(
        label="Display name",
        required=False,
        max_length=DISPLAY_NAME_LIMIT,
        validators=[validate_one_line],
    )
    color = forms.ChoiceField(
        label="Display colour", required=False, choices=[PLAIN, *Tone.choices]
    )


def user_key(user: IamUser) -> str:
    """How a form names an IAM user."""
    return f"{user.account_id}/{user.user_name}"


class SignInForm(forms.Form):
    """The console's sign-in, with a choice of IAM users where AWS asks for name and password."""

    user = forms.ChoiceField(label="IAM user", widget=forms.RadioSelect)
    mfa = forms.BooleanField(label="Signed in with MFA", required=False, initial=True)

    def __init__(self, *args: Any, users: list[IamUser], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.users = {user_key(user): user for user in users}
        self.fields["user"].choices = [(key, _label(one)) for key, one in self.users.items()]  # type: ignore[attr-defined]  # Field has none, ChoiceField has.
        if len(users) == 1:
            self.initial.setdefault("user", user_key(users[0]))

    @property
    def chosen(self) -> IamUser:
        """The IAM user that was chosen; only for a valid form."""
        return self.users[self.cleaned_data["user"]]


def _label(user: IamUser) -> str:
    account = ACCOUNT_NAMES.get(user.account_id, "")
    return f"{user.user_name} in {account} ({user.account_id})"
