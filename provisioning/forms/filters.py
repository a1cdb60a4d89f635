"""What narrows the lists: grants, requests that wait or are decided, events."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, time
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet

from accounts.models import AccessProfile, AccountPair, AwsAccount, User
from audit.models import AuditEvent
from provisioning.core.states import RequestState
from provisioning.models import AccessRequest, AccessRequestQuerySet, Decision
from provisioning.reading.keyset import Order
from provisioning.reading.listing import (
    LATEST_FIRST,
    NEWEST_FIRST,
    GrantFilter,
    Show,
    matches,
)


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
            ("approved", "Approved by me, waits for others"),
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
            case "approved":
                approved = AccessRequest.objects.approved_by(person)
                requests = requests.filter(pk__in=approved.values("pk"))
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


class DayField(forms.DateField):
    """A day in UTC, as addresses and the pickers of browsers write it."""

    def __init__(self, label: str) -> None:
        shape = "%Y-%m-%d"
        picker = forms.DateInput(format=shape, attrs={"type": "date"})
        super().__init__(label=label, required=False, input_formats=[shape], widget=picker)


class AuditFilterForm(forms.Form):
    """Narrows the events by what each index of theirs begins with, so by whole values and days."""

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
    since = DayField("From day (UTC)")
    until = DayField("Until day (UTC)")

    def clean(self) -> dict[str, Any]:
        """Refuse days that are the wrong way round: no event would ever match."""
        wanted = super().clean() or {}
        since, until = wanted.get("since"), wanted.get("until")
        if since and until and until < since:
            self.add_error("until", ValidationError(WRONG_WAY_ROUND, code="wrong_way_round"))
        return wanted

    def rows(self) -> QuerySet[AuditEvent]:
        """The events that were asked for, once valid."""
        wanted = {name: value for name, value in self.cleaned_data.items() if value}
        since, until = wanted.pop("since", None), wanted.pop("until", None)
        found = AuditEvent.objects.filter(**wanted)
        if since:
            found = found.filter(at__gte=datetime.combine(since, time.min, UTC))
        if until:
            found = found.filter(at__lte=datetime.combine(until, time.max, UTC))
        return found

    @property
    def order(self) -> Order:
        """Newest first; between days by the moment, so that the index begins at those days and
        not at today."""
        dated = self.cleaned_data["since"] or self.cleaned_data["until"]
        return LATEST_FIRST if dated else NEWEST_FIRST


WRONG_WAY_ROUND = "The last day is before the first one."
