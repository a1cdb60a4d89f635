"""Accounts, pairs, and who is which IAM user."""

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError

from accounts.aws_names import (
    GROUP_POLICIES,
    boundary_arn,
    default_switch_group,
    provisioner_role_arn,
    validate_account_id,
)
from accounts.forms.common import RegistryForm, only_in_use
from accounts.forms.fields import NO_COMPLETION, AccountIdField, PersonChoice
from accounts.models import (
    AccountPair,
    AwsAccount,
    IamIdentity,
    User,
)


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
            only_in_use(self.fields[name])

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
        only_in_use(self.fields["account"])
        active = User.objects.filter(is_active=True)
        field.queryset = active.order_by("first_name", "last_name", "username")
