"""Parse input into types. No writes: services have those; and the models repeat every rule."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar, Final

from django import forms
from django.contrib.auth.models import Group
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
    validate_one_line,
)
from accounts.constraints import refusal
from accounts.durations import MINUTE
from accounts.models import (
    LONGEST_GRANT,
    LONGEST_SESSION,
    LONGEST_WAIT,
    SHORTEST_GRANT,
    SHORTEST_SESSION,
    SHORTEST_WAIT,
    USUAL_WAIT,
    AccessProfile,
    AccountPair,
    ApprovalStage,
    AwsAccount,
    IamIdentity,
    Offer,
    ProfileVersion,
    User,
)
from accounts.services import StageWish
from accounts.stages import LARGEST_QUORUM, MOST_STAGES

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
            "alias",
            "provisioner_role_arn",
            "boundary_arn",
            "group_policies",
            "may_create_users",
        ]
        widgets: ClassVar = {
            "name": forms.TextInput(attrs=NO_COMPLETION),
            "alias": forms.TextInput(attrs=NO_COMPLETION),
        }
        help_texts: ClassVar = {
            "name": "What people call this account. They see it everywhere.",
            "alias": "What stands in the address of its sign-in page, where it has one. People can "
            "search for it.",
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

    field_order = ("account_id", "name", "alias", "partition")


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


WEEKDAYS: Final = [
    ("1", "Mon"),
    ("2", "Tue"),
    ("3", "Wed"),
    ("4", "Thu"),
    ("5", "Fri"),
    ("6", "Sat"),
    ("7", "Sun"),
]


class WeekdaysField(forms.MultipleChoiceField):
    """Days of the week as digits in order, Monday is 1: `12345`."""

    widget = forms.CheckboxSelectMultiple

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=WEEKDAYS, **kwargs)

    def clean(self, value: Any) -> Any:
        """The digits."""
        return "".join(sorted(super().clean(value)))

    def prepare_value(self, value: Any) -> Any:
        """The choices that stored digits stand for."""
        return list(value) if isinstance(value, str) else value


class OfferChangeForm(RegistryForm):
    """What may change about an offer: all but its pair and its profile.

    Each approval stage has four fields, `stage_1_name` and so on: without JavaScript too.
    """

    may_widen = True
    max_duration = SpanField(
        label="Longest duration, in minutes",
        unit=MINUTE,
        shortest=SHORTEST_GRANT,
        longest=LONGEST_GRANT,
        initial=timedelta(hours=4),
        help_text="5 minutes to 7 days (10080). 60 is an hour, 480 a working day.",
    )
    default_duration = SpanField(
        label="Usual duration, in minutes",
        unit=MINUTE,
        shortest=SHORTEST_GRANT,
        longest=LONGEST_GRANT,
        initial=timedelta(hours=1),
        help_text="What the request form begins with.",
    )
    request_lifetime = SpanField(
        label="Requests wait for, in minutes",
        unit=MINUTE,
        shortest=SHORTEST_WAIT,
        longest=LONGEST_WAIT,
        initial=USUAL_WAIT,
        help_text="A request that nobody decides on lapses after this time. 1440 is a day.",
    )
    auto_longest = SpanField(
        label="At most, in minutes",
        unit=MINUTE,
        shortest=SHORTEST_GRANT,
        longest=LONGEST_GRANT,
        required=False,
        help_text="Longer requests go to people.",
    )
    break_glass_longest = SpanField(
        label="At most, in minutes",
        unit=MINUTE,
        shortest=SHORTEST_GRANT,
        longest=LONGEST_GRANT,
        required=False,
        help_text="Shorter than the longest duration of the offer.",
    )
    auto_days = WeekdaysField(label="On these days", required=False)

    class Meta:
        model = Offer
        fields: ClassVar = [
            "max_duration",
            "default_duration",
            "request_lifetime",
            "eligible_users",
            "eligible_groups",
            "is_listed",
            "sensitivity",
            "warning",
            "reason_prompt",
            "reason_example",
            "ticket_required",
            "ticket_pattern",
            "ticket_hint",
            "auto_approve",
            "auto_longest",
            "auto_group",
            "auto_zone",
            "auto_days",
            "auto_from",
            "auto_until",
            "break_glass_group",
            "break_glass_longest",
            "is_active",
        ]
        field_classes: ClassVar = {"eligible_users": PeopleChoice}
        widgets: ClassVar = {
            "eligible_groups": forms.CheckboxSelectMultiple,
            "sensitivity": forms.RadioSelect,
            "ticket_pattern": forms.TextInput(attrs=NO_COMPLETION),
            "auto_zone": forms.TextInput(attrs=NO_COMPLETION),
            "auto_from": forms.TimeInput(format="%H:%M", attrs={"type": "time"}),
            "auto_until": forms.TimeInput(format="%H:%M", attrs={"type": "time"}),
        }
        labels: ClassVar = {
            "eligible_users": "People who may ask",
            "eligible_groups": "Groups whose members may ask",
            "is_listed": "Show it to everybody who can sign in",
            "warning": "Warning",
            "reason_prompt": "Question for the reason",
            "reason_example": "An example of a good reason",
            "ticket_required": "A ticket is required",
            "ticket_pattern": "Pattern of tickets",
            "ticket_hint": "What the pattern means, in words",
            "auto_approve": "Approve by rule where every condition below holds",
            "auto_group": "Only for members of this group",
            "auto_zone": "Only in working hours of this time zone",
            "auto_from": "From",
            "auto_until": "Until",
            "break_glass_group": "Members of this group may take it at once",
            "is_active": "Open for requests",
        }
        help_texts: ClassVar = {
            "is_listed": "People who may not ask then see that it exists, and whom to talk to. To "
            "them it does not exist otherwise.",
            "sensitivity": "How much harm this access can do. Everybody who asks or approves sees "
            "it, and a rule approves only where it is low.",
            "warning": "What everybody who asks or approves must know, for example: this account "
            "holds the data of customers.",
            "reason_prompt": "Empty for “Why do you need it?”.",
            "reason_example": "For example: check the security findings of SEC-214.",
            "ticket_pattern": "A regular expression that the whole ticket must match, such as "
            "[A-Z]+-[0-9]+. Empty for any.",
            "ticket_hint": "People see this beside the field, for example: a Jira issue such as "
            "OPS-123.",
            "auto_approve": "For low sensitivity only, never for risky permissions, and never "
            "where more than one person must approve. A worker looks at both accounts first, and "
            "anything that it does not like goes to people.",
            "auto_group": "For example the people on call. Empty for everybody who may ask.",
            "auto_zone": "A name such as Europe/Berlin. Empty for any time.",
            "break_glass_group": "For emergencies only: nobody decides, everybody who approves is "
            "told, and two others must review it afterwards. Empty for nobody.",
            "is_active": "Closing an offer stops new requests. Access that was granted goes on to "
            "its end.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stages = list(self.instance.stages.all()) if self.instance.pk else []
        for position in range(1, MOST_STAGES + 1):
            stage = stages[position - 1] if position <= len(stages) else None
            self.fields |= _stage_fields(position, stage)
        named = ["eligible_users", *(f"stage_{at}_people" for at in range(1, MOST_STAGES + 1))]
        for name in named:
            field = self.fields[name]
            assert isinstance(field, forms.ModelMultipleChoiceField)  # noqa: S101  # For the type.
            # Somebody who was switched off stays on the list while they are named: saving the form
            # must not drop them unseen.
            field.queryset = _choosable(self._named_now(name, stages))

    def _named_now(self, name: str, stages: list[ApprovalStage]) -> Any:
        if not self.instance.pk:
            return []
        if name == "eligible_users":
            return self.instance.eligible_users.values("pk")
        at = int(name.split("_")[1])
        return stages[at - 1].people.values("pk") if at <= len(stages) else []

    @property
    def stage_rows(self) -> list[dict[str, Any]]:
        """The fields of each stage, for the template; `used` says whether to show it open."""
        return [
            {
                "position": at,
                "used": bool(
                    self[f"stage_{at}_people"].value() or self[f"stage_{at}_groups"].value()
                )
                or any(f"stage_{at}_{part}" in self.errors for part in STAGE_PARTS),
                **{part: self[f"stage_{at}_{part}"] for part in STAGE_PARTS},
            }
            for at in range(1, MOST_STAGES + 1)
        ]

    def clean(self) -> dict[str, Any]:
        """What the fields of a form say only together."""
        cleaned = super().clean()
        longest, usual = cleaned.get("max_duration"), cleaned.get("default_duration")
        if longest and usual and usual > longest:
            message = "The usual duration cannot be longer than the longest."
            self.add_error("default_duration", ValidationError(message, code="usual_too_long"))
        for position in range(2, MOST_STAGES + 1):
            people, groups = (cleaned.get(f"stage_{position}_{part}") for part in STAGE_PARTS[2:])
            if cleaned.get(f"stage_{position}_name") and not people and not groups:
                message = "Name at least one person or group who approves."
                error = ValidationError(message, code="nobody_approves")
                self.add_error(f"stage_{position}_people", error)
        return cleaned

    def rules(self) -> dict[str, Any]:
        """Who may ask and who approves, as `services.save_offer` takes it."""
        names = ("eligible_users", "eligible_groups")
        return {name: self.cleaned_data[name] for name in names} | {"stages": self._stages()}

    def _stages(self) -> list[StageWish]:
        """The stages that name somebody, and the first in any case."""
        wishes = [
            StageWish(
                name=self.cleaned_data[f"stage_{at}_name"],
                quorum=self.cleaned_data[f"stage_{at}_quorum"] or 1,
                people=list(self.cleaned_data[f"stage_{at}_people"]),
                groups=list(self.cleaned_data[f"stage_{at}_groups"]),
            )
            for at in range(1, MOST_STAGES + 1)
        ]
        return [one for at, one in enumerate(wishes) if at == 0 or one.people or one.groups]


STAGE_PARTS: Final = ("name", "quorum", "people", "groups")


def _stage_fields(position: int, stage: ApprovalStage | None) -> dict[str, forms.Field]:
    """The four fields of one approval stage, filled from a stored one."""
    people, groups = (stage.people.all(), stage.groups.all()) if stage else ([], [])
    return {
        f"stage_{position}_name": forms.CharField(
            label="Name of the stage",
            required=False,
            max_length=60,
            validators=[validate_one_line],
            initial=stage.name if stage else "",
            widget=forms.TextInput(attrs=NO_COMPLETION),
        ),
        f"stage_{position}_quorum": forms.IntegerField(
            label="How many of them must approve",
            required=position == 1,
            min_value=1,
            max_value=LARGEST_QUORUM,
            initial=stage.quorum if stage else 1,
        ),
        f"stage_{position}_people": PeopleChoice(
            User.objects.none(),
            label="People who approve",
            required=False,
            initial=[one.pk for one in people],
            help_text="Nobody decides on their own request, so name more than one person where "
            "approvers also ask."
            if position == 1
            else "",
        ),
        f"stage_{position}_groups": forms.ModelMultipleChoiceField(
            Group.objects.order_by("name"),
            label="Groups whose members approve",
            required=False,
            initial=[one.pk for one in groups],
            widget=forms.CheckboxSelectMultiple,
        ),
    }


def _choosable(named: Any) -> models.QuerySet[User]:
    """Everybody who can sign in, and those who are named already."""
    people = User.objects.filter(Q(is_active=True) | Q(pk__in=named))
    return people.order_by("first_name", "last_name", "username")


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


class PairsChoice(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # The same.
    """Several account pairs."""

    widget = forms.CheckboxSelectMultiple

    def __init__(self, **kwargs: Any) -> None:
        pairs = AccountPair.objects.filter(retiring_at__isnull=True)
        super().__init__(pairs.select_related("source", "target"), **kwargs)


class OffersForm(OfferChangeForm):
    """Offers one profile on several pairs at once, all alike."""

    pairs = PairsChoice(label="Account pairs")
    confirmed = forms.CharField(required=False, max_length=20_000, widget=forms.HiddenInput)
    """Keys of the pairs that were shown as those to be made: what is made is what was seen."""

    class Meta(OfferChangeForm.Meta):
        fields: ClassVar = ["profile", *OfferChangeForm.Meta.fields]
        labels: ClassVar = {"profile": "Access profile"} | OfferChangeForm.Meta.labels

    field_order = ("profile", "pairs")

    def existing(self) -> list[Offer]:
        """Offers of the profile that the chosen pairs have already; they are left as they are."""
        pairs = self.cleaned_data["pairs"]
        return list(self.cleaned_data["profile"].offers.with_accounts().filter(pair__in=pairs))

    def new_pairs(self) -> list[AccountPair]:
        """The chosen pairs on which an offer would be made."""
        have = {one.pair_id for one in self.existing()}
        return [one for one in self.cleaned_data["pairs"] if one.pk not in have]

    @property
    def to_confirm(self) -> str:
        """What `confirmed` says once somebody has seen what would be made."""
        return ",".join(str(one.pk) for one in self.new_pairs())

    @property
    def would_wait(self) -> bool:
        """Whether what would be made waits for a second admin. A closed offer gives nothing."""
        return "proposal_reason" in self.fields and self.instance.is_active

    def offer_on(self, pair: AccountPair) -> Offer:
        """The offer as it would be on one of the pairs."""
        names = [one for one in self.Meta.fields if one not in OFFERED_TO]
        return Offer(pair=pair, **{name: getattr(self.instance, name) for name in names})


OFFERED_TO: Final = ("eligible_users", "eligible_groups")


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
