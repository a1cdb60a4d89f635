"""Forms of groups, and of what somebody may do."""

from typing import Any, ClassVar

from django import forms
from django.contrib.auth.models import Group
from django.db.models import Q

from accounts.forms.common import RegistryForm
from accounts.forms.fields import NO_COMPLETION, PeopleChoice
from accounts.models import User


class GroupForm(RegistryForm):
    """A group: its name, and who is in it."""

    may_widen = True
    members = PeopleChoice(
        label="Members",
        queryset=User.objects.none(),
        required=False,
        help_text="They get all that offers give to this group: asking, deciding, emergencies.",
    )

    class Meta:
        model = Group
        fields: ClassVar = ["name"]
        widgets: ClassVar = {"name": forms.TextInput(attrs=NO_COMPLETION)}

    field_order = ("name", "members")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["members"]
        assert isinstance(field, forms.ModelMultipleChoiceField)  # noqa: S101  # For the type.
        known = self.instance.pk is not None
        there = self.instance.user_set.values("pk") if known else []
        field.queryset = User.objects.filter(Q(is_active=True) | Q(pk__in=there)).order_by(
            "first_name", "last_name", "username"
        )
        if known:
            self.initial["members"] = list(self.instance.user_set.all())


class PersonForm(RegistryForm):
    """What somebody may do beyond what offers name them for."""

    may_widen = True

    class Meta:
        model = User
        fields: ClassVar = ["role", "is_active"]
        widgets: ClassVar = {"role": forms.RadioSelect}
        labels: ClassVar = {"is_active": "Can sign in"}
        help_texts: ClassVar = {
            "role": "Members ask and decide where offers name them. Admins also keep the registry "
            "and may revoke anything. Auditors read everything and change nothing.",
            "is_active": "",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.is_active:
            # Switching off has a page of its own, which ends their access first.
            del self.fields["is_active"]
