"""Use cases of the second admin: switching the rule on, and off."""

from django.core.exceptions import ValidationError

from accounts.four_eyes import second_admin
from accounts.four_eyes.gate import Change, guarded
from accounts.four_eyes.widening import Kind
from accounts.models import Proposal, SecondAdmin, User
from accounts.services.common import label_of, name_of


def switch_second_admin(*, actor: User, on: bool, reason: str = "") -> None:
    """Have a second admin confirm what widens access, or no longer. Raises Proposed, or
    ValidationError.

    Switching it on takes effect at once; off it goes only with two.
    """

    def prepare() -> Change:
        is_on = second_admin.settle()
        if on == is_on:
            message = f"It is {'on' if on else 'off'} already."
            raise ValidationError(message, code="nothing_to_switch")
        if on and second_admin.admins() < 2:
            message = "Make somebody else an admin first: nobody could confirm anything."
            raise ValidationError(message, code="one_admin_only")
        title = f"Switch the second admin {'on' if on else 'off'}."
        return Change(Kind.SECOND_ADMIN, second_admin.RULE, title, {"on": is_on}, {"on": on})

    guarded(prepare, lambda: store_second_admin(actor=actor, on=on), actor=actor, reason=reason)


def store_second_admin(*, actor: User | str, on: bool, by: Proposal | None = None) -> None:
    """Store that the rule is on, or off by a confirmed proposal."""
    state = SecondAdmin.State.ON if on else SecondAdmin.State.OFF
    sentence = f"{label_of(actor)} switched the second admin {state}."
    second_admin.switch(
        second_admin.locked_rule(), state, actor=name_of(actor), sentence=sentence, by=by
    )
