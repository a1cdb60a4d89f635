"""What a field of a rule is: its name, its judge, how its values are written and compared."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from accounts.four_eyes.widening import judges, values
from accounts.four_eyes.widening.words import Difference, Direction, Names, Snapshot


@dataclass(frozen=True)
class Context:
    """The two rules that a field is compared in."""

    before: Snapshot
    after: Snapshot
    names: Names


@dataclass(frozen=True)
class Field:
    """How one field is called, written and judged."""

    label: str
    judge: judges.Judge
    wider: str = ""
    """What it means when it widens; {before} and {after} stand for the values."""
    narrower: str = ""
    show: Callable[[Any, Names], str] = lambda value, names: values.text(value)
    compare: Callable[[str, "Field", Any, Any, Context], list[Difference]] = (
        lambda name, field, old, new, context: [difference(name, field, old, new, context.names)]
    )
    is_rule: bool = True
    """Whether it decides anything; words for people do not."""


def difference(name: str, field: Field, old: Any, new: Any, names: Names) -> Difference:
    """The change of one value, as its field judges it."""
    direction = field.judge(old, new)
    shown = {"before": field.show(old, names), "after": field.show(new, names)}
    template = {
        Direction.WIDENING: field.wider or "This lets more happen than before.",
        Direction.NARROWING: field.narrower or "This lets less happen than before.",
        Direction.NEUTRAL: "This gives nobody more and nobody less.",
    }[direction]
    # Names of people are put in with replace, not format: they are words and no templates.
    sentence = template.replace("{before}", shown["before"]).replace("{after}", shown["after"])
    return Difference(name, field.label, **shown, direction=direction, sentence=sentence)


def as_whole(
    name: str, field: Field, before: Snapshot | None, new: Any, names: Names
) -> Difference:
    """One field of a rule that takes effect as a whole."""
    was = values.NOTHING if before is None else field.show(before.get(name), names)
    direction = Direction.WIDENING if field.is_rule else Direction.NEUTRAL
    sentence = (
        "It takes effect with this: nobody could use it before."
        if field.is_rule
        else "This gives nobody more and nobody less."
    )
    return Difference(name, field.label, was, field.show(new, names), direction, sentence)


def words_only(label: str) -> Field:
    """A field that decides nothing."""
    return Field(label, judges.neutral, is_rule=False)


def unknown(name: str) -> Field:
    """A field that nobody has described."""
    label = name.replace("_", " ").capitalize()
    return Field(
        label, judges.any_change, "It is not known what this does, so it counts as widening."
    )


def one_by_one(
    *, added: str, removed: str, removed_is: Callable[[Context], Direction]
) -> Callable[[str, Field, Any, Any, Context], list[Difference]]:
    """Compare who, or what, is named. `added` and `removed` follow a list of names."""

    def compare(name: str, field: Field, old: Any, new: Any, context: Context) -> list[Difference]:
        if not isinstance(old, list) or not isinstance(new, list):
            return [difference(name, field, old, new, context.names)]
        sides = (
            ([one for one in new if one not in old], added, Direction.WIDENING),
            ([one for one in old if one not in new], removed, removed_is(context)),
        )
        shown = field.show(old, context.names), field.show(new, context.names)
        return [
            Difference(
                name, field.label, *shown, way, f"{values.names_of(those, context.names)} {words}"
            )
            for those, words, way in sides
            if those
        ] or [difference(name, field, old, new, context.names)]

    return compare


def always_narrows(context: Context) -> Direction:
    """What is removed lets less happen."""
    return Direction.NARROWING


def always_widens(context: Context) -> Direction:
    """What is removed kept something from happening."""
    return Direction.WIDENING
