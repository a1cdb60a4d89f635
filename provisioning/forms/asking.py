"""What a person types to ask for access: for one offer, for several in one go, or for more time."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.core.exceptions import ValidationError

from accounts import durations, tickets
from accounts.aws_names import validate_one_line
from accounts.durations import MINUTE, Unreadable, in_words
from accounts.models import SHORTEST_GRANT, Offer
from provisioning.forms.common import lasting
from provisioning.models import FURTHEST_START

PRESETS = (15, 30, 60, 120, 240, 480, 720, 1440)
"""Minutes offered as a choice, trimmed to what the offer allows."""
START_FORMATS = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"]


def zone_of(name: str) -> tzinfo:
    """The time zone that a browser names; UTC for none. Raises ValidationError."""
    if not name:
        return UTC
    if name not in available_timezones():
        raise ValidationError("This time zone is not known.", code="unknown_time_zone")
    return ZoneInfo(name)


def presets(offer: Offer) -> list[dict[str, Any]]:
    """Durations to choose from, the longest that the offer allows among them."""
    longest = offer.max_duration // MINUTE
    minutes = [one for one in PRESETS if one < longest] + [longest]
    return [{"minutes": one, "words": in_words(one)} for one in minutes]


class AskForm(forms.Form):
    """How long, from when, and why.

    For one offer the field is `duration`; for several each has its own, `duration_` and its key.
    Times are read in the time zone that the browser fills in; without JavaScript, in UTC.
    """

    starts_at = forms.DateTimeField(
        label="Start",
        required=False,
        input_formats=START_FORMATS,
        widget=forms.DateTimeInput(format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local"}),
        error_messages={"invalid": "Write a date and a time, such as 2026-11-30 08:00."},
        help_text="Leave it empty to start with the approval. "
        f"Otherwise at most {FURTHEST_START.days} days ahead.",
    )
    ticket = forms.CharField(
        label="Ticket",
        required=False,
        max_length=tickets.LONGEST_TICKET,
        validators=[validate_one_line],
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    reason = forms.CharField(
        label="Why do you need it?",
        max_length=500,
        validators=[validate_one_line],
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    zone = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)

    def __init__(self, offers: Sequence[Offer], now: datetime, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.offers, self.now = offers, now
        self.names = {one.pk: _name(one, offers) for one in offers}
        self.fields = {self.names[one.pk]: _duration_field(one) for one in offers} | self.fields
        self._tell_of_ticket()
        self._tell_of_reason()

    def _tell_of_ticket(self) -> None:
        field = self.fields["ticket"]
        field.required = any(one.ticket_required for one in self.offers)
        hints = dict.fromkeys(one.ticket_hint for one in self.offers if one.ticket_hint)
        field.help_text = " ".join(f"Expected is {hint}." for hint in hints)

    def _tell_of_reason(self) -> None:
        field = self.fields["reason"]
        only = self.offers[0] if len(self.offers) == 1 else None
        if only and only.reason_prompt:
            field.label = only.reason_prompt
        example = (only.reason_example if only else "") or "check the security findings of SEC-214"
        field.help_text = (
            "Approvers read this, and it stays in the audit log. "
            f"For example: {example.removesuffix('.')}."
        )

    @property
    def duration_rows(self) -> list[dict[str, Any]]:
        """Each offer with its field, for the template."""
        return [
            {"offer": one, "field": self[self.names[one.pk]], "presets": presets(one)}
            for one in self.offers
        ]

    def clean(self) -> dict[str, Any]:
        """Read what was typed, in the time zone of the person, and hold it against each offer."""
        cleaned = super().clean() or {}
        zone: tzinfo = UTC
        try:
            zone = zone_of(cleaned.get("zone", ""))
        except ValidationError as error:
            self.add_error(None, error)  # Its field is hidden.
        begins = self._begins(cleaned, zone)
        self.durations: dict[int, timedelta] = {}
        for offer in self.offers:
            self._read(cleaned, offer, begins, zone)
        return cleaned

    def _begins(self, cleaned: dict[str, Any], zone: tzinfo) -> datetime:
        """The start as a moment; what was typed is a wall clock's time in the zone."""
        typed = cleaned.get("starts_at")
        if typed is None:
            return self.now
        if typed.year not in durations.YEARS:
            message = "Write a date and a time, such as 2026-11-30 08:00."
            self.add_error("starts_at", ValidationError(message, code="invalid"))
            return self.now
        moment = typed.replace(tzinfo=zone)
        if moment.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != typed.replace(
            tzinfo=None
        ):
            message = "Clocks go forward at that time, so it does not exist."
            self.add_error("starts_at", ValidationError(message, code="time_is_skipped"))
            return self.now
        begins: datetime = moment.astimezone(UTC)
        cleaned["starts_at"] = begins
        return max(begins, self.now)

    def _read(self, cleaned: dict[str, Any], offer: Offer, begins: datetime, zone: tzinfo) -> None:
        name = self.names[offer.pk]
        if name not in cleaned:
            return
        try:
            wish = durations.read(cleaned[name], begins=begins, zone=zone)
            offer.check_duration(wish.duration)
        except Unreadable as error:
            self.add_error(name, ValidationError(str(error), code=error.code))
        except ValidationError as error:
            self.add_error(name, error)
        else:
            self.durations[offer.pk] = wish.duration


def _name(offer: Offer, offers: Sequence[Offer]) -> str:
    return "duration" if len(offers) == 1 else f"duration_{offer.pk}"


def _duration_field(offer: Offer) -> forms.CharField:
    longest, usual = offer.max_duration // MINUTE, offer.usual_duration // MINUTE
    return forms.CharField(
        label="How long",
        max_length=durations.LONGEST_TEXT,
        initial=in_words(usual),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=(
            f"Between {SHORTEST_GRANT // MINUTE} min and {in_words(longest)}, "
            "such as 90 min, 2h or until 18:00."
        ),
    )


def prefilled(
    offers: Sequence[Offer], now: datetime, query: Mapping[str, str]
) -> tuple[AskForm, list[str]]:
    """The form as a shared link fills it in, and what of the link was not possible, as sentences.

    Every value is checked as if it had been sent; one that would be refused is left out.
    """
    empty = AskForm(offers, now)
    known = {name: query[name] for name in empty.fields if name in query}
    if known.get("zone") not in available_timezones():
        known.pop("zone", None)
    if not known:
        return empty, []
    tried = AskForm(offers, now, known)
    wrong = {name: tried.errors[name] for name in known if name in tried.errors}
    good = {name: text for name, text in known.items() if name not in wrong}
    told = [
        f"{tried.fields[name].label}: {' '.join(map(str, errors))}"
        for name, errors in wrong.items()
    ]
    return AskForm(offers, now, initial=good), told


def reading(offer: Offer, now: datetime, query: Mapping[str, str]) -> str:
    """What a duration that is being typed means, in words; or what is wrong with it."""
    known = {name: query.get(name, "") for name in ("duration", "starts_at", "zone")}
    form = AskForm([offer], now, known)
    form.full_clean()
    wrong = [str(one) for name in known for one in form.errors.get(name, [])]
    wrong += [str(one) for one in form.non_field_errors()]
    if wrong or offer.pk not in form.durations:
        return " ".join(wrong)
    begins = form.cleaned_data.get("starts_at") or now
    zone = zone_of(known["zone"])
    wish = durations.read(known["duration"], begins=begins, zone=zone)
    until = wish.until or begins + wish.duration
    there = f"{_clock(until, zone)} in {known['zone']}, "
    if _clock(until, zone) == _clock(until, UTC):
        there = ""
    later = (
        "" if known["starts_at"] else " if it is approved now: the time starts with the approval"
    )
    words = in_words(form.durations[offer.pk] // MINUTE)
    return f"{words}, until {there}{_clock(until, UTC)} UTC{later}."


def _clock(moment: datetime, zone: tzinfo) -> str:
    there = moment.astimezone(zone)
    return f"{there:%a} {there.day} {there:%b, %H:%M}"


class ExtendForm(forms.Form):
    """How much more time, and why."""

    minutes = forms.IntegerField(label="How many minutes more")
    reason = forms.CharField(
        label="Why do you need more time?",
        max_length=500,
        validators=[validate_one_line],
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="Approvers read this, and it stays in the audit log.",
    )

    def __init__(self, ends_at: datetime, longest: timedelta, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        shortest, most = SHORTEST_GRANT // MINUTE, longest // MINUTE
        self.presets = [
            {"minutes": one, "words": in_words(one), "ends_at": ends_at + one * MINUTE}
            for one in PRESETS
            if one <= most
        ]
        field = self.fields["minutes"]
        field.initial = max((one for one in PRESETS if one <= min(most, 60)), default=most)
        field.help_text = f"Between {shortest} min and {in_words(most)} at this moment."
        field.widget.attrs |= {
            "min": shortest,
            "max": most,
            "inputmode": "numeric",
            "list": "durations",
            "data-adds-to": f"{ends_at:%Y-%m-%dT%H:%M:%SZ}",
        }

    @property
    def duration(self) -> timedelta:
        """What was asked for, once valid; beyond every bound where a timedelta would overflow."""
        return lasting(self.cleaned_data["minutes"])
