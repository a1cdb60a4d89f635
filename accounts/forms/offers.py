"""Offers: one, or a profile on many pairs, with who approves in which stage."""

from datetime import timedelta
from typing import Any, ClassVar, Final

from django import forms
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from accounts.aws_names import (
    validate_one_line,
)
from accounts.durations import MINUTE
from accounts.forms.common import RegistryForm, only_in_use
from accounts.forms.fields import NO_COMPLETION, PairsChoice, PeopleChoice, SpanField, WeekdaysField
from accounts.models import (
    LONGEST_GRANT,
    LONGEST_WAIT,
    SHORTEST_GRANT,
    SHORTEST_WAIT,
    USUAL_WAIT,
    AccountPair,
    ApprovalStage,
    Offer,
    User,
)
from accounts.services.offers import StageWish
from accounts.stages import LARGEST_QUORUM, MOST_STAGES


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
        """Who may ask and who approves, as `save_offer` takes it."""
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
        only_in_use(self.fields["pair"])


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
