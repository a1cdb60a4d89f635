"""What the fields of an offer mean."""

from typing import Any, Final

from accounts.four_eyes.widening import judges, stages, values
from accounts.four_eyes.widening.fields import (
    Context,
    Field,
    always_narrows,
    difference,
    one_by_one,
    words_only,
)
from accounts.four_eyes.widening.words import Difference


def _while_a_rule_approves(
    name: str, field: Field, old: Any, new: Any, context: Context
) -> list[Difference]:
    """Its conditions decide nothing while it is switched off."""
    if context.after.get("auto_approve") is False:
        field = Field(field.label, judges.neutral, show=field.show)
    return [difference(name, field, old, new, context.names)]


def _automatic(label: str, judge: judges.Judge, wider: str, show: Any = None) -> Field:
    show = show or (lambda value, names: values.text(value))
    return Field(label, judge, wider, show=show, compare=_while_a_rule_approves)


OFFER: Final = {
    "pair": Field("Account pair", judges.any_change, show=values.named),
    "profile": Field("Access profile", judges.any_change, show=values.named),
    "profile_version": Field("Version of the profile", judges.any_change),
    "is_active": Field(
        "Open for requests", judges.on_is_wider, "People can ask for it.", "Nobody can ask for it."
    ),
    "max_duration": Field(
        "Longest duration",
        judges.more_is_wider,
        "Access may last {after} instead of {before}.",
        "Access may last {after} at most; it was {before}.",
        show=values.span,
    ),
    "eligible_users": Field(
        "People who may ask",
        judges.any_change,
        show=values.names_of,
        compare=one_by_one(
            added="may ask from then on.", removed="may ask no longer.", removed_is=always_narrows
        ),
    ),
    "eligible_groups": Field(
        "Groups whose members may ask",
        judges.any_change,
        show=values.names_of,
        compare=one_by_one(
            added="may ask from then on, with all members.",
            removed="may ask no longer.",
            removed_is=always_narrows,
        ),
    ),
    "stages": Field(
        "Who approves", judges.any_change, show=stages.written, compare=stages.by_stage
    ),
    "default_duration": Field("Usual duration", judges.neutral, show=values.span, is_rule=False),
    "request_lifetime": Field(
        "Requests wait for",
        judges.more_is_wider,
        "A request can still be approved after {after}; it lapsed after {before}.",
        "A request lapses after {after} instead of {before}.",
        show=values.span,
    ),
    "is_listed": words_only("Shown to everybody"),
    "sensitivity": Field(
        "Sensitivity",
        judges.ranked("high", "normal", "low"),
        "It counts as less sensitive, which rules for automatic approval ask for.",
        "It counts as more sensitive.",
    ),
    "warning": words_only("Warning"),
    "reason_prompt": words_only("Question for the reason"),
    "reason_example": words_only("Example of a reason"),
    "ticket_required": Field(
        "A ticket is required",
        judges.off_is_wider,
        "No ticket is asked for.",
        "A ticket is asked for.",
    ),
    "ticket_pattern": Field(
        "Pattern of tickets",
        judges.first_is_narrower,
        "Other tickets are taken than before.",
        "Only tickets of this form are taken.",
    ),
    "ticket_hint": words_only("Hint for tickets"),
    "auto_approve": Field(
        "Approve by rule",
        judges.on_is_wider,
        "Requests are approved without anybody looking at them.",
        "A person looks at every request.",
    ),
    "auto_longest": _automatic(
        "Longest by rule",
        judges.more_is_wider,
        "The rule approves up to {after}; it was {before}.",
        values.span,
    ),
    "auto_group": _automatic(
        "Approved by rule: members of",
        judges.first_is_narrower,
        "The rule approves for others than before.",
        values.named,
    ),
    "auto_zone": _automatic(
        "Time zone of the rule", judges.first_is_narrower, "The rule approves at other times."
    ),
    "auto_days": _automatic(
        "Weekdays of the rule", judges.first_is_narrower, "The rule approves on other days."
    ),
    "auto_from": _automatic(
        "The rule approves from", judges.first_is_narrower, "The rule approves at other times."
    ),
    "auto_until": _automatic(
        "The rule approves until", judges.first_is_narrower, "The rule approves at other times."
    ),
    "break_glass_group": Field(
        "Break-glass: members of",
        judges.none_is_narrower,
        "Its members may take the access at once, without anybody's decision.",
        "Nobody may take the access without a decision.",
        show=values.named,
    ),
    "break_glass_longest": Field(
        "Longest in an emergency",
        judges.none_or_less_is_narrower,
        "Up to {after} may be taken at once; it was {before}.",
        "Up to {after} may be taken at once; it was {before}.",
        show=values.span,
    ),
}
