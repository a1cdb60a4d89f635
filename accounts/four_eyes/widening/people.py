"""What the fields of groups, of people and of the second admin mean."""

from typing import Any, Final

from accounts.four_eyes.widening import judges, values
from accounts.four_eyes.widening.fields import Context, Field, one_by_one, words_only
from accounts.four_eyes.widening.words import Direction


def _who_decides_widens(context: Context) -> Direction:
    """Fewer people look at requests, where the group decides on any."""
    decides = context.before.get("decides_on") or context.after.get("decides_on")
    return Direction.WIDENING if decides else Direction.NARROWING


GROUP: Final = {
    "name": words_only("Name"),
    "members": Field(
        "Members",
        judges.any_change,
        show=values.names_of,
        compare=one_by_one(
            added="gets everything that offers give to this group.",
            removed="gets nothing through this group any more.",
            removed_is=_who_decides_widens,
        ),
    ),
    "decides_on": Field(
        "Decides on requests for", judges.neutral, show=values.lines, is_rule=False
    ),
    "may_ask_for": Field("May ask for", judges.neutral, show=values.lines, is_rule=False),
    "may_take": Field("May take in an emergency", judges.neutral, show=values.lines, is_rule=False),
}


def _role(old: Any, new: Any) -> Direction:
    """Whoever stops being an admin has less. All else gives something: an auditor reads everything,
    and a member may ask and decide where an auditor may not."""
    return judges.one_way(old != "admin" or new not in {"member", "auditor"})


PERSON: Final = {
    "role": Field(
        "Role",
        _role,
        "What they may do is {after} instead of {before}.",
        "They are no admin any more.",
    ),
    "is_active": Field(
        "Can sign in",
        judges.on_is_wider,
        "They can sign in again, with every right that offers and groups give them.",
        "They cannot sign in.",
    ),
    "groups": Field("Groups", judges.neutral, show=values.names_of, is_rule=False),
}

SECOND_ADMIN: Final = {
    "on": Field(
        "A second admin confirms what widens access",
        judges.off_is_wider,
        "From then on any admin widens access alone.",
        "From then on two admins are needed for what widens access.",
    )
}
