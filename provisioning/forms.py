"""Parse input into types. No writes, no rights: services and authz have those."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.db.models import Q, QuerySet

from accounts.aws_names import validate_one_line
from accounts.durations import MINUTE, in_words
from accounts.models import SHORTEST_GRANT, AccessProfile, AccountPair, AwsAccount, User
from audit.models import AuditEvent
from provisioning.core.states import RequestState
from provisioning.listing import GrantFilter, Show, matches
from provisioning.models import AccessRequest, AccessRequestQuerySet, Decision, Review

MOST = 20
"""Requests that may be decided at once: as many as somebody can still read on one page."""

PRESETS = (15, 30, 60, 120, 240, 480, 720, 1440)
"""Minutes offered as a choice, trimmed to what the offer allows."""


MINUTES_LIMIT = 1_000_000
"""Beyond every offer; longer input would overflow a timedelta."""


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
        return timedelta(minutes=min(max(self.cleaned_data["minutes"], 0), MINUTES_LIMIT))


class DecisionForm(forms.Form):
    """An approver's verdict."""

    verdict = forms.ChoiceField(choices=Decision.Verdict.choices, widget=forms.HiddenInput)
    fingerprint = forms.RegexField(r"^[0-9a-f]{64}$", widget=forms.HiddenInput)
    reason = forms.CharField(
        label="Note to the requester",
        max_length=500,
        required=False,
        validators=[validate_one_line],
        help_text="Required when you reject.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def clean(self) -> dict[str, Any]:
        """A rejection needs a reason: the requester must know what to do differently."""
        cleaned = super().clean() or {}
        if cleaned.get("verdict") == Decision.Verdict.REJECTED and not cleaned.get("reason"):
            self.add_error("reason", "Say why you reject, so that the requester knows what to do.")
        return cleaned


class TogetherForm(DecisionForm):
    """One verdict on several requests, each with the fingerprint of the plan that was shown."""

    fingerprint = None  # type: ignore[assignment]  # Each request has its own.
    picks = forms.Field(widget=forms.MultipleHiddenInput)

    def clean_picks(self) -> dict[str, str]:
        """By code, the fingerprint."""
        picks = self.cleaned_data["picks"]
        known = [one for one in picks if re.fullmatch(r"[a-z0-9]+:[0-9a-f]{64}", str(one))]
        if len(known) != len(picks) or len(known) > MOST:
            raise forms.ValidationError(f"Choose 1 to {MOST} requests on the page before this.")
        return dict(str(one).split(":") for one in known)


class BreakGlassForm(forms.Form):
    """What is taken in an emergency: how long, and why."""

    minutes = forms.IntegerField(label="How many minutes")
    reason = forms.CharField(
        label="What is the emergency?",
        max_length=500,
        validators=[validate_one_line],
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="Everybody who approves this offer is told, and two of them review it. "
        "For example: production is down, incident INC-77.",
    )

    def __init__(self, longest: timedelta, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        most = longest // MINUTE
        field = self.fields["minutes"]
        field.initial = min(30, most)
        field.help_text = f"Between 5 min and {in_words(most)}. The time starts now."
        field.widget.attrs |= {"min": 5, "max": most, "inputmode": "numeric"}

    @property
    def duration(self) -> timedelta:
        """What was typed, once valid; beyond every bound where a timedelta would overflow."""
        return timedelta(minutes=min(max(self.cleaned_data["minutes"], 0), MINUTES_LIMIT))


class ReviewForm(forms.Form):
    """Whether it was right to take access in an emergency."""

    finding = forms.ChoiceField(
        label="Was it right to take it?", choices=Review.Verdict.choices, widget=forms.RadioSelect
    )
    note = forms.CharField(
        label="What did you look at?",
        max_length=500,
        validators=[validate_one_line],
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="For example: the incident was real, and CloudTrail shows only its repair.",
    )


class TermsForm(forms.Form):
    """A shorter time, or a later start, than was asked for."""

    minutes = forms.IntegerField(label="How many minutes")
    starts_at = forms.DateTimeField(
        label="Start, in UTC",
        required=False,
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"],
        widget=forms.DateTimeInput(format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local"}),
        error_messages={"invalid": "Write a date and a time, such as 2026-11-30 08:00."},
        help_text="Leave it as it is unless it is to start later. This is UTC.",
    )
    why = forms.CharField(
        label="Why not as asked?",
        max_length=500,
        required=False,
        validators=[validate_one_line],
        help_text="The requester and the other approvers read this.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, asked: AccessRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        shortest, most = SHORTEST_GRANT // MINUTE, asked.duration // MINUTE
        field = self.fields["minutes"]
        field.initial = asked.lasts // MINUTE
        field.help_text = f"Between {shortest} min and {in_words(most)}, which was asked for."
        field.widget.attrs |= {"min": shortest, "max": most, "inputmode": "numeric"}
        self.fields["starts_at"].initial = asked.begins_at
        self._asked_start = asked.starts_at

    def clean_starts_at(self) -> datetime | None:
        """The control knows no seconds: a start that was left as it was is the one asked for."""
        typed: datetime | None = self.cleaned_data["starts_at"]
        asked = self._asked_start
        same = typed and asked and typed == asked.replace(second=0, microsecond=0)
        return asked if same else typed

    @property
    def duration(self) -> timedelta:
        """What was typed, once valid; beyond every bound where a timedelta would overflow."""
        return timedelta(minutes=min(max(self.cleaned_data["minutes"], 0), MINUTES_LIMIT))


class CommentForm(forms.Form):
    """A question, or an answer."""

    text = forms.CharField(
        label="Your question or answer",
        max_length=500,
        validators=[validate_one_line],
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="The requester, the approvers and auditors read this.",
    )


class RevokeForm(forms.Form):
    """Why access ends early."""

    reason = forms.CharField(
        label="Reason",
        max_length=500,
        validators=[validate_one_line],
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="It stays in the audit log; the holder sees it.",
    )


class GiveBackForm(RevokeForm):
    """One's own access needs no reason to be given back."""

    reason = forms.CharField(
        label="Note", max_length=500, required=False, validators=[validate_one_line]
    )


class RetireForm(RevokeForm):
    """The thing's name, typed, and why it goes out of use."""

    confirmation = forms.CharField(
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    field_order: tuple[str, ...] = ("confirmation", "reason")

    def __init__(self, name: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["confirmation"].label = f"Type “{name}” to confirm"


class NamedField(forms.CharField):
    """Names one row of the registry; what no row is named is an error."""

    def __init__(self, rows: Callable[[str], QuerySet[Any]], unknown: str, **options: Any) -> None:
        super().__init__(required=False, max_length=200, **options)
        self.widget.attrs |= {"autocomplete": "off", "spellcheck": "false"}
        self.rows, self.unknown = rows, unknown

    def clean(self, value: Any) -> Any:
        """The row; None for no name."""
        name = super().clean(value)
        if not name:
            return None
        row = self.rows(name).first()
        if row is None:
            raise forms.ValidationError(self.unknown)
        return row


def _pairs(key: str) -> QuerySet[AccountPair]:
    known = AccountPair.objects.select_related("source", "target")
    return known.filter(pk=int(key)) if re.fullmatch("[0-9]{1,18}", key) else known.none()


class StopForm(RetireForm):
    """The red button: what ends, typed, and why; whether new requests are paused too."""

    key = forms.UUIDField(widget=forms.HiddenInput)
    """Made with the page, so that a form that is sent twice is one press."""
    pause = forms.BooleanField(
        label="Pause new requests here until an admin lifts it",
        required=False,
        help_text="Nobody can ask, and nothing can be approved or taken in an emergency.",
    )
    field_order: tuple[str, ...] = ("confirmation", "reason", "pause")

    def __init__(self, name: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(name, *args, **kwargs)
        self.fields["reason"].help_text = "It stays in the audit log; every holder sees it."


class StopSearchForm(forms.Form):
    """Finds whose access is to end."""

    q = forms.CharField(label="Person, account or pair", required=False, max_length=64)


class GrantFilterForm(forms.Form):
    """Narrows the list of grants. Unknown values are errors, not silently everything."""

    q = forms.CharField(label="Person, account or role", required=False, max_length=64)
    show = forms.ChoiceField(
        label="Show",
        required=False,
        choices=[
            (Show.LIVE, "Live"),
            (Show.ACTIVE, "Active"),
            (Show.PENDING, "Pending"),
            (Show.ATTENTION, "Needs attention"),
            (Show.SCHEDULED, "Scheduled"),
            (Show.ENDING, "Ending"),
            (Show.ENDED, "Ended"),
        ],
    )
    person = NamedField(
        lambda name: User.objects.filter(username__iexact=name),
        "Nobody has this user name.",
        label="User name",
    )
    account = NamedField(
        lambda name: AwsAccount.objects.filter(Q(account_id=name) | Q(name__iexact=name)),
        "No account has this number or name.",
        label="Account",
    )
    profile = NamedField(
        lambda name: AccessProfile.objects.filter(name__iexact=name),
        "No profile has this name.",
        label="Profile",
    )
    pair = NamedField(_pairs, "There is no such pair.", widget=forms.HiddenInput)

    @property
    def filter(self) -> GrantFilter:
        """What was asked for, once valid."""
        wanted = self.cleaned_data
        return GrantFilter(
            show=wanted["show"],
            text=wanted["q"],
            person=wanted["person"],
            account=wanted["account"],
            pair=wanted["pair"],
            profile=wanted["profile"],
        )

    @property
    def narrowed(self) -> bool:
        """Whether the fields that are folded away say anything."""
        return any(self.data.get(name) for name in ("person", "account", "profile"))


class InboxFilterForm(forms.Form):
    """Narrows what an approver sees of the requests of others. Unknown values are errors."""

    q = forms.CharField(label="Person, account or role", required=False, max_length=64)
    show = forms.ChoiceField(
        label="Show",
        required=False,
        choices=[
            ("", "Waits for me"),
            ("others", "Waits for others"),
            ("mine", "Decided by me"),
        ],
    )

    def narrowed(self, requests: AccessRequestQuerySet, person: User) -> AccessRequestQuerySet:
        """Those that were asked for, once valid."""
        asking = AccessRequest.objects.asking(person)
        match self.cleaned_data["show"]:
            case "others":
                requests = requests.waiting().exclude(pk__in=asking.values("pk"))
            case "mine":
                said = Decision.objects.filter(approver=person).values("request")
                requests = requests.filter(pk__in=said)
            case _:
                requests = asking
        if self.cleaned_data["q"]:
            requests = requests.filter(matches(self.cleaned_data["q"]))
        return requests


class DecidedFilterForm(forms.Form):
    """Narrows the requests that are decided. Unknown values are errors."""

    q = forms.CharField(label="Person, account or role", required=False, max_length=64)
    outcome = forms.ChoiceField(
        required=False,
        choices=[
            ("", "All"),
            *((one.value, one.value.capitalize()) for one in RequestState if one != "pending"),
        ],
    )

    def narrowed(self, requests: AccessRequestQuerySet) -> AccessRequestQuerySet:
        """Those that were asked for, once valid."""
        if self.cleaned_data["outcome"]:
            requests = requests.filter(state=self.cleaned_data["outcome"])
        if self.cleaned_data["q"]:
            requests = requests.filter(matches(self.cleaned_data["q"]))
        return requests


class AuditFilterForm(forms.Form):
    """Narrows the events by what each index of theirs begins with, so by whole values."""

    actor = forms.CharField(label="Who (user name)", required=False, max_length=150)
    subject = forms.CharField(
        label="About",
        required=False,
        max_length=128,
        widget=forms.TextInput(attrs={"placeholder": "grant:k3v9m2x7q4ab", "spellcheck": "false"}),
    )
    kind = forms.CharField(
        label="What",
        required=False,
        max_length=64,
        widget=forms.TextInput(attrs={"placeholder": "grant:phase:active", "spellcheck": "false"}),
    )

    def rows(self) -> QuerySet[AuditEvent]:
        """The events that were asked for, once valid."""
        wanted = {name: value for name, value in self.cleaned_data.items() if value}
        return AuditEvent.objects.filter(**wanted)


class DriftFilterForm(forms.Form):
    """Narrows the findings. Unknown values are errors, not silently everything."""

    account = forms.ModelChoiceField(
        queryset=AwsAccount.objects.order_by("name"),
        to_field_name="account_id",
        required=False,
        empty_label="All accounts",
    )
    kind = forms.ChoiceField(
        label="Class",
        required=False,
        choices=[
            ("", "All"),
            ("widened", "Widened"),
            ("narrowed", "Narrowed"),
            ("orphan", "Orphans"),
            ("unknown", "Not ours"),
        ],
    )


class RepairForm(forms.Form):
    """Why access is given back."""

    reason = forms.CharField(
        label="Note",
        max_length=500,
        required=False,
        validators=[validate_one_line],
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="It stays in the audit log; the holder sees it.",
    )
