"""Who is told: people, from the rows as they are when an event is taken up."""

from collections.abc import Callable, Iterable

from accounts.models import User
from audit.models import AuditEvent
from notices.models import MAIL, Notice, NoticeQuerySet
from notices.story import Story
from provisioning import approvals
from provisioning.models import AccessRequest

type Audience = Callable[[Story], list[User]]


def holder(story: Story) -> list[User]:
    """Who asked, or whose access it is."""
    return _who_can_sign_in([story.asked.requester])


def themselves(story: Story) -> list[User]:
    """The person whom the event is about."""
    return _who_can_sign_in([story.person] if story.person else [])


def approvers(story: Story) -> list[User]:
    """Who can decide on the request now and has not been asked before: at first, and again when
    an approval opens the next stage. Everybody where a last word is missing: they may believe that
    all is said."""
    if story.event.data.get("again"):
        return deciders(story.asked)
    before = set(told_of(story.asked, MAIL).values_list("person", flat=True))
    return [one for one in deciders(story.asked) if one.pk not in before]


def deciders(request: AccessRequest) -> list[User]:
    """Whose approval would bring the request on: the open stage's people who have not spoken."""
    return list(User.objects.filter(pk__in=approvals.asked_now(request)).order_by("username"))


def watchers(story: Story) -> list[User]:
    """All approvers of the offer, whether anything is theirs to decide or not."""
    return list(story.asked.offer.approvers().exclude(pk=story.asked.requester_id))


def repairers(story: Story) -> list[User]:
    """Who can give back what somebody took away in AWS, as `authz.can_repair` says it of one: of
    an access its approvers and admins, never its holder; of a switch group admins."""
    if story.grant is None:
        return admins(story)
    people = [one for one in watchers(story) if one.role != User.Role.AUDITOR] + admins(story)
    return [one for one in people if one.pk != story.asked.requester_id]


def emergency_reviewers(story: Story) -> list[User]:
    """Whose review of an emergency is missing: approvers of the offer and admins who have not
    given one, never who took it."""
    taken = story.asked.taken
    done = set(taken.reviews.values_list("reviewer", flat=True)) if taken else set()
    people = [*watchers(story), *admins(story)]
    return [one for one in people if one.pk not in done | {story.asked.requester_id}]


def campaign_reviewers(story: Story) -> list[User]:
    """Those for whom items of an access review wait, as its event says."""
    waiting = story.event.data.get("waiting", {})
    people = User.objects.filter(username__in=list(waiting), is_active=True)
    return list(people.order_by("username"))


def proposer(story: Story) -> list[User]:
    """Who proposed the change that the event is about."""
    opened = AuditEvent.objects.about(story.event.subject).filter(kind="proposal:opened")
    return list(User.objects.filter(username__in=opened.values("actor"), is_active=True))


def askers(story: Story) -> list[User]:
    """Who has asked something about this request; where nobody has, who can decide on it."""
    questions = AuditEvent.objects.about(story.event.subject).filter(
        kind="request:question", data__request=story.asked.code
    )
    people = User.objects.filter(username__in=questions.values("actor"), is_active=True)
    return list(people.order_by("username")) or deciders(story.asked)


def asked_before(story: Story) -> list[User]:
    """Who was told by mail that this request waits, or is about to be."""
    told = told_of(story.asked, MAIL).filter(event_id__lt=story.event.pk)
    told = told.exclude(state__in=[Notice.State.DROPPED, Notice.State.FAILED])
    people = User.objects.filter(pk__in=told.values("person"), is_active=True)
    return list(people.order_by("username"))


def told_of(request: AccessRequest, channel: str) -> NoticeQuerySet:
    """The notices by which people were asked to decide on this request, by one channel."""
    return Notice.objects.filter(
        topic="asked",
        channel=channel,
        event__subject=request.subject,
        event__data__request=request.code,
    )


def admins(story: Story) -> list[User]:
    """Everybody who administers the portal."""
    people = User.objects.filter(role=User.Role.ADMIN, is_active=True)
    return list(people.order_by("username"))


def may_know(person: User, story: Story) -> bool:
    """Whether this person may still see what the event is about. A notice may wait for a mail
    server for a day, and they may have lost the right meanwhile."""
    if story.request is not None:
        return AccessRequest.objects.visible_to(person).filter(pk=story.request.pk).exists()
    asked = person.username in story.event.data.get("waiting", {})
    return asked or person == story.person or person.sees_everything


def _who_can_sign_in(people: Iterable[User]) -> list[User]:
    return [one for one in people if one.is_active]
