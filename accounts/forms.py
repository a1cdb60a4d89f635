"""Parse input into types. No writes: services have those; and the models repeat every rule."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models
from django.db.models import Q

from accounts import four_eyes, inline_policy
from accounts.aws_names import (
    GROUP_POLICIES,
    Tone,
    boundary_arn,
    default_switch_group,
    managed_policy_names,
    provisioner_role_arn,
    validate_account_id,
)
from accounts.constraints import refusal
from accounts.models import (
    LONGEST_GRANT,
    LONGEST_SESSION,
    SHORTEST_GRANT,
    SHORTEST_SESSION,
    AccessProfile,
    AccountPair,
    AwsAccount,
    IamIdentity,
    Offer,
    ProfileVersion,
    User,
)

NO_COMPLETION = {"autocomplete": "off", "spellcheck": "false"}
"""Names and ids are no words; a browser must neither correct nor remember them."""


# --- Fields ----------------------------------------------------------------------------------


class AccountIdField(forms.CharField):
    """An account id, also as the AWS console writes it: 1234-5678-9012."""

    def to_python(self, value: Any) -> str:
        """The id without the hyphens and spaces between its digits."""
        return re.sub(r"(?<=[0-9])[- ](?=[0-9])", "", super().to_python(value) or "")


class SpanField(forms.IntegerField):
    """A whole number of minutes or hours, as a timedelta."""

    def __init__(
        self, *, unit: timedelta, shortest: timedelta, longest: timedelta, **kwargs: Any
    ) -> None:
        self.unit = unit
        least, most = shortest // unit, longest // unit
        super().__init__(min_value=least, max_value=most, **kwargs)
        message = f"Type a whole number from {least} to {most}."
        self.error_messages |= {"min_value": message, "max_value": message, "invalid": message}
        self.widget.attrs["inputmode"] = "numeric"

    def clean(self, value: Any) -> Any:
        """The duration; None when the field is empty and may be."""
        number = super().clean(value)
        return None if number is None else number * self.unit

    def prepare_value(self, value: Any) -> Any:
        """The number to show for a stored duration."""
        return value // self.unit if isinstance(value, timedelta) else value


class ManagedPoliciesField(forms.CharField):
    """AWS managed policies, one a line, by name or by ARN; a list of names with their paths."""

    widget = forms.Textarea(attrs={"rows": 4, "class": "code-input", **NO_COMPLETION})

    def to_python(self, value: Any) -> Any:
        """The names; empty lines do not count."""
        lines = (super().to_python(value) or "").splitlines()
        return managed_policy_names(line for line in lines if line.strip())

    def prepare_value(self, value: Any) -> Any:
        """One name a line."""
        return "\n".join(value) if isinstance(value, list) else value


class InlinePolicyField(forms.CharField):
    """A policy document as JSON text; None when there is none."""

    widget = forms.Textarea(
        attrs={
            "rows": 14,
            "class": "code-input",
            "wrap": "off",
            # Django's own two, and what the lint says beside the field.
            "aria-describedby": "id_inline_policy_helptext id_inline_policy_error permissions-lint",
            **NO_COMPLETION,
        }
    )

    def to_python(self, value: Any) -> Any:
        """The document."""
        text = value or ""
        return inline_policy.parse(text) if text.strip() else None

    def prepare_value(self, value: Any) -> Any:
        """A stored document as a person reads it; what was typed stays as it was typed."""
        if isinstance(value, dict):
            return json.dumps(value, indent=2, ensure_ascii=False)
        return value


class PersonChoice(forms.ModelChoiceField):  # type: ignore[type-arg]  # Not subscriptable at run time.
    """One person, by name and user name."""

    def label_from_instance(self, obj: models.Model) -> str:
        """Two people may share a name."""
        return _person(obj)


class PeopleChoice(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # The same.
    """Several people, by name and user name."""

    widget = forms.CheckboxSelectMultiple

    def label_from_instance(self, obj: models.Model) -> str:
        """Two people may share a name."""
        return _person(obj)


def _person(obj: models.Model) -> str:
    person = obj if isinstance(obj, User) else User()
    name = f"{person.label} ({person.username})" if person.get_full_name() else person.username
    return name if person.is_active else f"{name}, switched off"


def _only_in_use(field: forms.Field) -> None:
    """Leave out of a choice what was retired."""
    assert isinstance(field, forms.ModelChoiceField)  # noqa: S101  # For the type.
    assert field.queryset is not None  # noqa: S101  # The same.
    field.queryset = field.queryset.filter(retiring_at__isnull=True)


# --- Forms -----------------------------------------------------------------------------------


class RegistryForm(forms.ModelForm):  # type: ignore[type-arg]  # Not subscriptable at run time.
    """A form of the registry: takes its own fields only, and tells every refusal at its field."""

    may_widen = False
    """Whether what it stores may have to wait for a second admin: then it asks why."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.may_widen and four_eyes.holds():
            self.fields["proposal_reason"] = forms.CharField(
                label="Why, for the second admin",
                required=False,
                max_length=1000,
                widget=forms.Textarea(attrs={"rows": 3}),
                help_text="Needed where this lets more happen than before. It is a proposal then: "
                "nothing changes until another admin has confirmed it. What only takes away "
                "takes effect at once; sent together, all of it waits.",
            )

    @property
    def reason(self) -> str:
        """Why the change is wanted, for the second admin."""
        return str(self.cleaned_data.get("proposal_reason", ""))

    def clean(self) -> dict[str, Any]:
        """Refuse fields that the form does not have: nobody sends them by accident."""
        cleaned = super().clean() or {}
        unknown = sorted(set(self.data) - set(self.fields) - {"csrfmiddlewaretoken"})
        if unknown:
            message = f"This form has no field “{unknown[0][:50]}”."
            self.add_error(None, ValidationError(message, code="unknown_field"))
        return cleaned

    def saved(self, save: Callable[[], object]) -> bool:
        """Whether the form is valid and a service has stored it; what it refuses is told here.

        Somebody else may have been quicker since the form was checked, by a moment or by less than
        that: then the service refuses, or the database itself.
        """
        if not self.is_valid():
            return False
        try:
            save()
        except ValidationError as error:
            self._tell(error)
        except IntegrityError as error:
            told = refusal(error)
            if told is None:
                raise
            self._tell(told)
        return not self.errors

    def _tell(self, refused: ValidationError) -> None:
        by_field = refused.update_error_dict({})
        for name, errors in by_field.items():
            for error in errors:
                self.add_error(name if name in self.fields else None, error)

    def _update_errors(self, errors: ValidationError) -> None:
        """What a field has refused needs no second refusal by the model, which saw it empty."""
        told = errors.update_error_dict({})
        new = {field: told[field] for field in told if not self.has_error(field)}
        super()._update_errors(ValidationError(new))  # type: ignore[misc]  # A hook that Django's stubs leave out.


class AccountChangeForm(RegistryForm):
    """What may change about an account: all but its id and partition."""

    provisioner_role_arn = forms.CharField(
        label="Provisioner role (ARN)",
        max_length=640,
        required=False,
        widget=forms.TextInput(attrs=NO_COMPLETION),
        help_text="Leave it empty if the account was set up with our template: the role is then "
        "SallyportProvisioner.",
    )
    boundary_arn = forms.CharField(
        label="Boundary policy (ARN)",
        max_length=640,
        required=False,
        widget=forms.TextInput(attrs=NO_COMPLETION),
        help_text="Leave it empty if the account was set up with our template: the policy is then "
        "SallyportBoundary.",
    )
    group_policies = forms.MultipleChoiceField(
        label="Switch groups also carry",
        required=False,
        choices=[(name, name) for name in GROUP_POLICIES],
        widget=forms.CheckboxSelectMultiple,
        help_text="For a source account: what people may do in it while they have access "
        "elsewhere. A group has no boundary, so all of these only read.",
    )

    class Meta:
        model = AwsAccount
        fields: ClassVar = [
            "name",
            "provisioner_role_arn",
            "boundary_arn",
            "group_policies",
            "may_create_users",
        ]
        widgets: ClassVar = {"name": forms.TextInput(attrs=NO_COMPLETION)}
        help_texts: ClassVar = {
            "name": "What people call this account. They see it everywhere.",
            "may_create_users": "Under /sallyport/ only, and never with more than their own "
            "password, their own MFA and switching to granted roles: the policies above do "
            "nothing for them. Its owner installs the set-up files again first.",
        }

    def clean(self) -> dict[str, Any]:
        """Name the role and the boundary by convention where they were left empty."""
        cleaned = super().clean()
        account_id = cleaned.get("account_id", self.instance.account_id)
        partition = cleaned.get("partition", self.instance.partition)
        if account_id and partition:
            for field, by_convention in (
                ("provisioner_role_arn", provisioner_role_arn),
                ("boundary_arn", boundary_arn),
            ):
                if cleaned.get(field) == "":
                    cleaned[field] = by_convention(partition, account_id)
        return cleaned


class AccountForm(AccountChangeForm):
    """Registers an account."""

    account_id = AccountIdField(
        label="Account id",
        validators=[validate_account_id],
        widget=forms.TextInput(attrs={"inputmode": "numeric", "maxlength": 14, **NO_COMPLETION}),
        help_text="12 digits, zeros in front included. It cannot be changed later.",
    )

    class Meta(AccountChangeForm.Meta):
        fields: ClassVar = ["account_id", "partition", *AccountChangeForm.Meta.fields]
        help_texts: ClassVar = {
            "partition": "Accounts of different partitions cannot be paired. "
            "It cannot be changed later.",
            **AccountChangeForm.Meta.help_texts,
        }

    field_order = ("account_id", "name", "partition")


class PairForm(RegistryForm):
    """Joins two accounts."""

    switch_group = forms.CharField(
        label="Switch group",
        required=False,
        widget=forms.TextInput(attrs={"maxlength": 100, **NO_COMPLETION}),
        help_text="The IAM group in the source account whose members may switch. Leave it empty "
        "for switch-to- and the target's id: one group for each target is the tightest. An IAM "
        "user can be in ten groups only, so pairs of one source may share a group.",
    )
    own_group_anyway = forms.BooleanField(
        label="Give it a group of its own all the same", required=False
    )
    warned = False
    """Whether the box above has something to answer to."""

    class Meta:
        model = AccountPair
        fields: ClassVar = ["source", "target", "switch_group"]
        labels: ClassVar = {"source": "Source account", "target": "Target account"}
        help_texts: ClassVar = {
            "source": "Where people sign in with their IAM users.",
            "target": "Where they are let in.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("source", "target"):
            _only_in_use(self.fields[name])

    def clean(self) -> dict[str, Any]:
        """Name the switch group by convention where it was left empty."""
        cleaned = super().clean()
        target = cleaned.get("target")
        if target and cleaned.get("switch_group") == "":
            cleaned["switch_group"] = default_switch_group(target.account_id)
        return cleaned

    def warn(self, warning: str) -> bool:
        """Show a warning at the switch group, unless its box is ticked. Whether it was shown."""
        if not warning or self.cleaned_data.get("own_group_anyway"):
            return False
        self.add_error("switch_group", ValidationError(warning, code="many_groups"))
        self.warned = True
        return True


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


class OfferChangeForm(RegistryForm):
    """What may change about an offer: all but its pair and its profile."""

    may_widen = True
    max_duration = SpanField(
        label="Longest duration, in minutes",
        unit=timedelta(minutes=1),
        shortest=SHORTEST_GRANT,
        longest=LONGEST_GRANT,
        initial=timedelta(hours=4),
        help_text="5 minutes to 7 days (10080). 60 is an hour, 480 a working day.",
    )

    class Meta:
        model = Offer
        fields: ClassVar = [
            "max_duration",
            "eligible_users",
            "eligible_groups",
            "approver_users",
            "approver_groups",
            "approval_class",
            "is_active",
        ]
        field_classes: ClassVar = {"eligible_users": PeopleChoice, "approver_users": PeopleChoice}
        widgets: ClassVar = {
            "eligible_groups": forms.CheckboxSelectMultiple,
            "approver_groups": forms.CheckboxSelectMultiple,
            "approval_class": forms.RadioSelect,
        }
        labels: ClassVar = {
            "eligible_users": "People who may ask",
            "eligible_groups": "Groups whose members may ask",
            "approver_users": "People who approve",
            "approver_groups": "Groups whose members approve",
            "approval_class": "Approval class",
            "is_active": "Open for requests",
        }
        help_texts: ClassVar = {
            "approver_users": "Nobody decides on their own request, so name more than one person "
            "where approvers also ask.",
            "approval_class": "Risky permissions can be offered under the high class only. A "
            "higher class also holds for requests that wait; a lower one for new requests only.",
            "is_active": "Closing an offer stops new requests. Access that was granted goes on to "
            "its end.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("eligible_users", "approver_users"):
            field = self.fields[name]
            assert isinstance(field, forms.ModelMultipleChoiceField)  # noqa: S101  # For the type.
            # Somebody who was switched off stays on the list while they are named: saving the form
            # must not drop them unseen.
            named = getattr(self.instance, name).values("pk") if self.instance.pk else []
            field.queryset = User.objects.filter(Q(is_active=True) | Q(pk__in=named)).order_by(
                "first_name", "last_name", "username"
            )

    def people(self) -> dict[str, Any]:
        """Who is named, as `services.save_offer` takes it."""
        names = ("eligible_users", "eligible_groups", "approver_users", "approver_groups")
        return {name: self.cleaned_data[name] for name in names}


class OfferForm(OfferChangeForm):
    """Makes an offer."""

    class Meta(OfferChangeForm.Meta):
        fields: ClassVar = ["pair", "profile", *OfferChangeForm.Meta.fields]
        labels: ClassVar = {"pair": "Account pair", "profile": "Access profile"} | (
            OfferChangeForm.Meta.labels
        )

    field_order = ("pair", "profile")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _only_in_use(self.fields["pair"])


class IdentityForm(RegistryForm):
    """Says which IAM user a person is."""

    class Meta:
        model = IamIdentity
        fields: ClassVar = ["person", "account", "user_name"]
        field_classes: ClassVar = {"person": PersonChoice}
        labels: ClassVar = {"account": "Source account", "user_name": "IAM user name"}
        widgets: ClassVar = {"user_name": forms.TextInput(attrs=NO_COMPLETION)}
        help_texts: ClassVar = {
            "account": "Where the IAM user lives.",
            "user_name": "As AWS writes it, without a path. A worker looks the user up next.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["person"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101  # For the type.
        _only_in_use(self.fields["account"])
        active = User.objects.filter(is_active=True)
        field.queryset = active.order_by("first_name", "last_name", "username")
