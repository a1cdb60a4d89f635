"""Parse input into types; no writes."""

from collections.abc import Iterator
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError

from accounts.models import User
from notices.models import MAIL, Notice, Preferences, Route
from notices.topics import TOPICS, topics_for


class PreferencesForm(forms.Form):
    """What one person wants to be told, and in which time zone."""

    wanted = forms.MultipleChoiceField(
        label="Tell me by mail when", required=False, widget=forms.CheckboxSelectMultiple
    )
    time_zone = forms.ChoiceField(
        required=False,
        help_text="Notices give times in UTC, and beside it in this zone.",
    )

    def __init__(self, person: User, chosen: Preferences, data: Any = None) -> None:
        self.topics = [one for one in topics_for(person) if not one.always]
        wanted = [one.key for one in self.topics if one.key not in chosen.muted]
        super().__init__(data, initial={"wanted": wanted, "time_zone": chosen.time_zone})
        self.fields["wanted"].choices = [(one.key, one.title) for one in self.topics]  # type: ignore[attr-defined]
        zones = sorted(available_timezones() - {"localtime", "UTC"})
        self.fields["time_zone"].choices = [  # type: ignore[attr-defined]
            ("", "UTC only"),
            *((one, one.replace("_", " ")) for one in zones),
        ]

    @property
    def muted(self) -> list[str]:
        """The topics that were offered and not chosen."""
        return [one.key for one in self.topics if one.key not in self.cleaned_data["wanted"]]


class RoutesForm(forms.Form):
    """For each topic: which shared channels, and whether people are told one by one as well."""

    def __init__(self, routes: dict[str, Route], data: Any = None) -> None:
        super().__init__(data)
        self.topics = [one for one in TOPICS if not one.with_topic]
        for topic in self.topics:
            route = routes.get(topic.key) or Route(topic=topic.key)
            self.fields[f"channels-{topic.key}"] = forms.MultipleChoiceField(
                label="Shared channels",
                required=False,
                choices=[(one, one) for one in settings.CHANNELS],
                initial=route.channels,
                widget=forms.CheckboxSelectMultiple,
            )
            if topic.may_spare_people:
                self.fields[f"people-{topic.key}"] = forms.BooleanField(
                    label="Also mail to each of them", required=False, initial=route.people
                )

    def clean(self) -> dict[str, Any]:
        """Somebody is told: a topic without people has a channel."""
        cleaned = super().clean() or {}
        for topic in self.topics:
            alone = topic.may_spare_people and not cleaned.get(f"people-{topic.key}")
            if alone and not cleaned.get(f"channels-{topic.key}"):
                message = "Choose a channel, or nobody is told."
                self.add_error(f"people-{topic.key}", ValidationError(message, code="nobody"))
        return cleaned

    def rows(self) -> Iterator[dict[str, Any]]:
        """Each topic with its fields."""
        for topic in self.topics:
            people = f"people-{topic.key}"
            yield {
                "topic": topic,
                "channels": self[f"channels-{topic.key}"],
                "people": self[people] if people in self.fields else None,
            }

    @property
    def chosen(self) -> dict[str, tuple[list[str], bool]]:
        """Channels and people of each topic."""
        return {
            one.key: (
                self.cleaned_data[f"channels-{one.key}"],
                self.cleaned_data.get(f"people-{one.key}", True),
            )
            for one in self.topics
        }


class LogFilterForm(forms.Form):
    """Narrows the delivery log. Unknown values are errors, not silently everything."""

    q = forms.CharField(label="Person or code", required=False, max_length=64)
    state = forms.ChoiceField(
        required=False, choices=[("", "All"), *((one.value, one.label) for one in Notice.State)]
    )
    channel = forms.ChoiceField(required=False)

    def __init__(self, data: Any = None) -> None:
        super().__init__(data)
        names = [(one, one) for one in settings.CHANNELS]
        self.fields["channel"].choices = [("", "All"), (MAIL, "mail"), *names]  # type: ignore[attr-defined]
