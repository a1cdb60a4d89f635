"""The second admin: whether what widens access waits for one, and who counts as one.

This rule is a rule itself, so only two admins switch it off (docs/adr/0032).
"""

from typing import Final

from django.conf import settings

from accounts.models import Offer, Proposal, SecondAdmin, User
from audit.clock import database_now
from audit.models import append

RULE: Final = "rule:second_admin"
"""The rule itself in audit events."""
SYSTEM: Final = "system:setup"


def admins() -> int:
    """How many admins can sign in."""
    return User.objects.filter(role=User.Role.ADMIN, is_active=True).count()


def holds() -> bool:
    """Whether changes that widen access wait for a second admin."""
    state = SecondAdmin.objects.values_list("state", flat=True).filter(pk=1).first()
    return state == SecondAdmin.State.ON or (
        state in {None, SecondAdmin.State.UNSET} and _comes_on_by_itself()
    )


def _comes_on_by_itself() -> bool:
    # The sandbox's walk-through is one admin's work in one click; its people switch it on by hand.
    return not settings.SANDBOX and admins() >= 2


def locked_rule() -> SecondAdmin:
    """The rule's row, locked: one change of the rules at a time. Call it in a transaction."""
    SecondAdmin.objects.get_or_create(pk=1)
    return SecondAdmin.objects.select_for_update().get(pk=1)


def settle() -> bool:
    """Whether the rule holds, and write down that it does from now on where it came on by itself.

    Whoever changes people asks first: otherwise an admin who switches the second one off would be
    alone again, and the rule gone. Call it in a transaction.
    """
    rule = locked_rule()
    if rule.state == SecondAdmin.State.UNSET and _comes_on_by_itself():
        switch(rule, SecondAdmin.State.ON, actor=SYSTEM, sentence=CAME_ON)
    return rule.state == SecondAdmin.State.ON


CAME_ON: Final = (
    "There are two admins now, so changes that widen access wait for a second one from here on."
)


def switch(
    rule: SecondAdmin,
    state: SecondAdmin.State,
    *,
    actor: str,
    sentence: str,
    by: Proposal | None = None,
) -> None:
    """Store that the rule is on or off."""
    rule.state, rule.switched_off_by, rule.changed_at = state, by, database_now()
    rule.save()
    append(
        kind=f"{RULE}:{state}",
        actor=actor,
        subject=RULE,
        sentence=sentence,
        data={"state": str(state), "proposal": by.pk if by else None},
    )


def is_needed_in_person(person: User) -> bool:
    """Whether somebody confirms proposals, decides on requests, or gets access on which nobody
    decides, in an emergency or by a rule: nobody else may act as them."""
    return (
        person.is_portal_admin
        or Offer.objects.decided_by(person).exists()
        or Offer.objects.filter(break_glass_group__in=person.groups.values("pk")).exists()
        or Offer.objects.naming(person).filter(auto_approve=True).exists()
    )


def stands_beside(person: User) -> bool:
    """Whether somebody counts as a second person beside an admin: another admin, or who decides on
    an open offer, which two admins have confirmed. An account that one admin has just made is
    neither."""
    return (
        person.is_portal_admin or Offer.objects.decided_by(person).filter(is_active=True).exists()
    )
