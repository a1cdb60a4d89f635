"""May this person do this in a review? Reasons against it, as sentences; none when they may."""

from collections.abc import Sequence
from datetime import datetime

from accounts.four_eyes import second_admin
from accounts.models import User
from accounts.refusals import Refused
from reviews.models import Campaign, Item


def require(reasons: Sequence[str]) -> None:
    """Go on only without reasons against it. Raises Refused."""
    if reasons:
        raise Refused(reasons)


def reasons_against_starting(person: User) -> list[str]:
    """Admins start reviews."""
    return [] if person.is_portal_admin else ["Only admins start reviews."]


def reasons_against_reviewing(person: User) -> list[str]:
    """Whoever signs in and changes things can review."""
    found = []
    if not person.is_active:
        found.append("Your account is switched off.")
    if person.role == User.Role.AUDITOR:
        found.append("Auditors read everything and change nothing.")
    return found


def reasons_against_deciding(
    person: User, campaign: Campaign, chosen: Sequence[Item] = ()
) -> list[str]:
    """Reviewers of the campaign decide, never about themselves."""
    found = reasons_against_reviewing(person)
    if not campaign.reviewers.filter(pk=person.pk).exists():
        found.append("You are not a reviewer of this review.")
    if any(one.person_id == person.pk for one in chosen):
        found.append("Nobody reviews themselves. Another reviewer decides on your items.")
    if Item.objects.filter(pk__in=[one.pk for one in chosen]).with_deciders(taking=True).exists():
        found += reasons_against_taking_deciders(person, campaign)
    return found


def reasons_against_taking_deciders(person: User, campaign: Campaign) -> list[str]:
    """Otherwise one admin could take approvers away alone: by a review of their own, or with an
    account that they have made themselves as its reviewer."""
    if not second_admin.holds():
        return []
    if person.pk == campaign.created_by_id:
        return ["You started this review, so another reviewer decides about approvers."]
    if not second_admin.stands_beside(person):
        return ["Another admin, or somebody who decides on requests, decides about approvers."]
    return []


def reasons_against_closing(person: User, campaign: Campaign, now: datetime) -> list[str]:
    """Admins close: when nothing waits, or once it is overdue."""
    found = [] if person.is_portal_admin else ["Only admins close reviews."]
    waits = campaign.items.filter(decision=Item.Decision.OPEN).exists()
    if waits and now < campaign.due_at:
        found.append("Items wait for a decision. It can be closed when it is overdue.")
    return found


def may_export(person: User) -> bool:
    """Evidence is for admins and auditors."""
    return person.sees_everything
