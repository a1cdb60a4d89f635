"""Taking one person out of a rule, and nothing else: what a review removes.

It lets less happen, so it waits for nobody. Approvers who go wait for a second admin where an admin
takes them away (ADR 32); a review has its second person already, and `reviews` sees to that.
"""

from django.contrib.auth.models import Group

from accounts.four_eyes import second_admin
from accounts.models import ApprovalStage, Offer, User
from audit.models import append


def no_longer_asks(*, actor: str, offer: Offer, person: User, reason: str) -> bool:
    """Take somebody from those whom an offer names by name. False when they were not named."""
    second_admin.locked_rule()
    named = Offer.eligible_users.through.objects.filter(offer=offer, user=person)
    if not named.delete()[0]:
        return False
    _tell(actor, offer, f"{person.label} may no longer ask for {offer}.", reason, person, "asks")
    return True


def no_longer_decides(*, actor: str, offer: Offer, person: User, reason: str) -> bool:
    """Take somebody from every stage of an offer that names them. False when none did."""
    second_admin.locked_rule()
    named = ApprovalStage.people.through.objects.filter(approvalstage__offer=offer, user=person)
    if not named.delete()[0]:
        return False
    sentence = f"{person.label} no longer decides on {offer}."
    _tell(actor, offer, sentence, reason, person, "decides")
    return True


def _tell(actor: str, offer: Offer, sentence: str, reason: str, person: User, removed: str) -> None:
    append(
        kind="offer:narrowed",
        actor=actor,
        subject=offer.subject,
        sentence=sentence,
        reason=reason,
        data={"person": person.username, "removed": removed},
    )


def leaves_group(*, actor: str, group: Group, person: User, reason: str) -> bool:
    """Take somebody out of a group. False when they were not in it."""
    second_admin.locked_rule()
    if not User.groups.through.objects.filter(group=group, user=person).delete()[0]:
        return False
    append(
        kind="group:changed",
        actor=actor,
        subject=f"group:{group.pk}",
        sentence=f"{person.label} left the group {group.name}.",
        reason=reason,
        data={"name": group.name, "removed": [person.username], "added": []},
    )
    return True
