"""Forms of reviews. No writes: services have those."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from accounts.forms import NO_COMPLETION, PeopleChoice, RegistryForm
from accounts.models import AccessProfile, AccountPair, AwsAccount, User
from reviews.models import Campaign, Item, Scope

TARGETS = ("account", "pair", "profile")
DAY = timedelta(days=1)


class CampaignForm(RegistryForm):
    """Starts a review."""

    reviewers = PeopleChoice(
        label="Reviewers",
        queryset=User.objects.none(),
        help_text="Nobody reviews themselves: their own items go to another one. With one reviewer "
        "you are the other.",
    )
    due_on = forms.DateField(
        label="Due on",
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="The day ends at midnight UTC. Reviewers are reminded three days before.",
    )

    class Meta:
        model = Campaign
        fields: ClassVar = ["title", "scope", "account", "pair", "profile", "remove_on_timeout"]
        widgets: ClassVar = {
            "title": forms.TextInput(attrs=NO_COMPLETION),
            "scope": forms.RadioSelect,
        }
        labels: ClassVar = {
            "scope": "What to review",
            "account": "AWS account",
            "pair": "Account pair",
            "profile": "Access profile",
        }
        help_texts: ClassVar = {
            "title": "For example: Access to production, autumn.",
            "account": "For the review of one account, as source or as target.",
            "pair": "For the review of one pair.",
            "profile": "For the review of one profile.",
            "remove_on_timeout": "Otherwise it stays until somebody decides. Approvers are not "
            "taken away by the clock where a second admin is asked.",
        }

    field_order = ("title", "scope", *TARGETS, "reviewers", "due_on", "remove_on_timeout")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["reviewers"]
        assert isinstance(field, forms.ModelMultipleChoiceField)  # noqa: S101  # For the type.
        people = User.objects.filter(is_active=True).exclude(role=User.Role.AUDITOR)
        field.queryset = people.order_by("first_name", "last_name", "username")
        for name, rows in (
            ("account", AwsAccount.objects.all()),
            ("pair", AccountPair.objects.select_related("source", "target")),
            ("profile", AccessProfile.objects.all()),
        ):
            choice = self.fields[name]
            assert isinstance(choice, forms.ModelChoiceField)  # noqa: S101  # For the type.
            choice.queryset = rows

    def clean(self) -> dict[str, Any]:
        """Ask for the one thing that the scope names, and forget the others."""
        cleaned = super().clean()
        scope = cleaned.get("scope")
        for name in TARGETS:
            if name != scope:
                cleaned[name] = None
            elif not cleaned.get(name) and name not in self.errors:
                label = str(Scope(name).label).lower().removeprefix("one ")
                self.add_error(name, ValidationError(f"Choose the {label}.", code="required"))
        day = cleaned.get("due_on")
        if day is not None:
            # The calendar's last day has no end; it is refused as too late, like any so late.
            day = min(day, date.max - DAY)
            self.instance.due_at = datetime.combine(day, time.min, tzinfo=UTC) + DAY
        return cleaned

    def _get_validation_exclusions(self) -> set[str]:
        # The service sets and checks these.
        return {*super()._get_validation_exclusions(), "created_by", "due_at"}  # type: ignore[misc]  # Django's own hook.

    def _tell(self, refused: ValidationError) -> None:
        by_field = refused.update_error_dict({})
        if "due_at" in by_field:
            by_field["due_on"] = by_field.pop("due_at")
        super()._tell(ValidationError(by_field))


class ItemsForm(forms.Form):
    """A decision on the items that were chosen; which those are, the service checks."""

    reason = forms.CharField(
        label="Reason",
        max_length=500,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        error_messages={"required": "Say why: it is evidence."},
        help_text="One for all that you chose. It is evidence.",
    )

    def keys(self) -> list[int]:
        """The items that were chosen, by key; what is no number is none of them."""
        chosen = self.data.getlist("items") if isinstance(self.data, QueryDict) else []
        return [int(one) for one in chosen if one.isdecimal() and len(one) < 19]


class FilterForm(forms.Form):
    """Which items a page lists, and after which."""

    show = forms.ChoiceField(
        label="Show",
        required=False,
        choices=[("", "Waiting"), *Item.Decision.choices[1:], ("all", "All")],
    )
    whose = forms.ChoiceField(
        label="Asked", required=False, choices=[("", "Me"), ("all", "Anybody")]
    )
    after = forms.IntegerField(required=False, min_value=0, max_value=2**62)
