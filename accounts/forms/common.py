"""What all forms of the registry have in common."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from accounts.constraints import refusal
from accounts.four_eyes import second_admin


def only_in_use(field: forms.Field) -> None:
    """Leave out of a choice what was retired."""
    assert isinstance(field, forms.ModelChoiceField)  # noqa: S101  # For the type.
    assert field.queryset is not None  # noqa: S101  # The same.
    field.queryset = field.queryset.filter(retiring_at__isnull=True)


class RegistryForm(forms.ModelForm):  # type: ignore[type-arg]  # Not subscriptable at run time.
    """A form of the registry: takes its own fields only, and tells every refusal at its field."""

    may_widen = False
    """Whether what it stores may have to wait for a second admin: then it asks why."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.may_widen and second_admin.holds():
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
