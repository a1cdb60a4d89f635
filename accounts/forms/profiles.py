"""Profiles and their versions."""

from datetime import timedelta
from typing import ClassVar

from django import forms
from django.core.exceptions import ValidationError

from accounts.aws_names import (
    Tone,
)
from accounts.forms.common import RegistryForm
from accounts.forms.fields import NO_COMPLETION, InlinePolicyField, ManagedPoliciesField, SpanField
from accounts.models import (
    LONGEST_SESSION,
    SHORTEST_SESSION,
    AccessProfile,
    ProfileVersion,
)


class VersionForm(RegistryForm):
    """One version of a profile: what issued roles are called and may do."""

    managed_policies = ManagedPoliciesField(
        label="AWS managed policies",
        required=False,
        help_text="One a line, at most 10, by name (ReadOnlyAccess, job-function/ViewOnlyAccess) "
        "or by ARN.",
    )
    inline_policy = InlinePolicyField(
        label="Inline policy (JSON)",
        required=False,
        help_text="Statements of your own, beside the managed policies or instead of them.",
    )
    session_duration = SpanField(
        label="Longest session, in hours",
        unit=timedelta(hours=1),
        shortest=SHORTEST_SESSION,
        longest=LONGEST_SESSION,
        initial=SHORTEST_SESSION,
        help_text="How long one switch lasts before the console asks to switch again: 1 to 12 "
        "hours. Access ends at its end time, whatever stands here.",
    )

    may_widen = True
    confirmed = forms.CharField(required=False, max_length=16)
    """The digest of the risks that were read; the page makes it a checkbox beside them."""

    class Meta:
        model = ProfileVersion
        fields: ClassVar = [
            "role_name",
            "managed_policies",
            "inline_policy",
            "session_duration",
            "require_mfa",
        ]
        labels: ClassVar = {
            "role_name": "Role name",
            "require_mfa": "Demand multi-factor authentication (MFA)",
        }
        widgets: ClassVar = {"role_name": forms.TextInput(attrs=NO_COMPLETION)}
        help_texts: ClassVar = {
            "role_name": "The beginning of the names of issued roles: the IAM user and a code "
            "follow it. At most 32 characters.",
            "require_mfa": "AWS lets people in only if they signed in to the source account with "
            "a second factor.",
        }

    def _post_clean(self) -> None:
        """Ask for a confirmation of the risks, once nothing else is left to mend."""
        super()._post_clean()  # type: ignore[misc]  # Django's own hook, which its stubs leave out.
        if {"managed_policies", "inline_policy"} & self.errors.keys():
            return
        self.report = self.instance.report
        if self.report.risky and self.cleaned_data.get("confirmed") != self.report.digest:
            message = "These permissions are risky. Read what was found, then confirm it."
            self.add_error("confirmed", ValidationError(message, code="risks_unread"))


class ProfileForm(VersionForm):
    """A new profile with its first version. Nobody can be given it before it is offered."""

    may_widen = False

    name = forms.CharField(
        max_length=60,
        widget=forms.TextInput(attrs=NO_COMPLETION),
        help_text="What people who ask will look for, such as Security read-only.",
    )
    description = forms.CharField(
        max_length=300,
        required=False,
        help_text="One line: what somebody can do with it.",
    )
    tone = forms.ChoiceField(
        label="Colour",
        choices=Tone.choices,
        initial=Tone.GREEN,
        widget=forms.RadioSelect,
        help_text="The AWS console shows a switched role in it.",
    )
    field_order = ("name", "description", "tone")

    def _post_clean(self) -> None:
        """Check the profile as the version is checked: by its model."""
        super()._post_clean()
        own = {name: self.cleaned_data.get(name, "") for name in self.field_order}
        self.profile = AccessProfile(**own)
        failed = {name for name in self.field_order if name in self.errors}
        try:
            self.profile.full_clean(exclude=failed)
        except ValidationError as error:
            self._update_errors(error)
