"""Fields that several forms have."""

import json
import re
from datetime import timedelta
from typing import Any, Final

from django import forms
from django.db import models

from accounts import inline_policy
from accounts.aws_names import (
    managed_policy_names,
)
from accounts.models import (
    AccountPair,
    User,
)

NO_COMPLETION = {"autocomplete": "off", "spellcheck": "false"}
"""Names and ids are no words; a browser must neither correct nor remember them."""


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


class PeopleChoice(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # As above.
    """Several people, by name and user name."""

    widget = forms.CheckboxSelectMultiple

    def label_from_instance(self, obj: models.Model) -> str:
        """Two people may share a name."""
        return _person(obj)


def _person(obj: models.Model) -> str:
    person = obj if isinstance(obj, User) else User()
    name = f"{person.label} ({person.username})" if person.get_full_name() else person.username
    return name if person.is_active else f"{name}, switched off"


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


class PairsChoice(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # As above.
    """Several account pairs."""

    widget = forms.CheckboxSelectMultiple

    def __init__(self, **kwargs: Any) -> None:
        pairs = AccountPair.objects.filter(retiring_at__isnull=True)
        super().__init__(pairs.select_related("source", "target"), **kwargs)
