"""Forms that take a password, and what they say."""

from typing import Any

from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.contrib.auth.password_validation import password_validators_help_texts
from django.core.exceptions import ValidationError
from django.views.decorators.debug import sensitive_variables

from accounts.sign_in import guesses


class SignInForm(AuthenticationForm):
    """User name and password. One answer for everybody who is not let in."""

    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": "This user name and this password do not fit together. Look at capital "
        "letters in both. If you have forgotten the password, ask an admin for a new one.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "User name"


class OwnPasswordForm(PasswordChangeForm):
    """Somebody changes their own password. Guesses at the old one are counted too: a session that
    somebody else got hold of must not lead to the password. `accounts.services.people` stores
    the new one.
    """

    error_messages = {
        **PasswordChangeForm.error_messages,
        "password_incorrect": "This is not your old password. If you have forgotten it, ask an "
        "admin for a new one.",
        "password_mismatch": "This is not the same as the new password above it.",
        "password_unchanged": "This is your old password. Choose another one.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        first, again = self.fields["new_password1"], self.fields["new_password2"]
        first.help_text = " ".join(password_validators_help_texts())
        again.label, again.help_text = "New password again", ""

    @sensitive_variables("old")
    def clean_old_password(self) -> str:
        """The old password, if it is the right one."""
        name = self.user.get_username()
        tries = guesses.begin(guesses.password_key(name))
        try:
            old: str = super().clean_old_password()
        except ValidationError:
            guesses.wrong(tries, name)
            raise
        guesses.right(tries)
        return old

    def clean(self) -> dict[str, Any]:
        """Refuse a bad new password at the field where it was chosen: Django tells of it at the
        one where it is repeated."""
        self.validate_passwords("new_password1", "new_password2")
        self.validate_password_for_user(self.user, "new_password1")
        typed = self.cleaned_data
        if "new_password1" in typed and typed["new_password1"] == typed.get("old_password"):
            message = self.error_messages["password_unchanged"]
            self.add_error("new_password1", ValidationError(message, code="password_unchanged"))
        return typed


def refusal_of(form: Any) -> guesses.TooManyGuesses | None:
    """The refusal to look at a password, if that is what is wrong with the form."""
    found = (one for errors in form.errors.as_data().values() for one in errors)
    return next((one for one in found if isinstance(one, guesses.TooManyGuesses)), None)
