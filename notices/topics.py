"""The table of notices: which event is told to whom, in which words.

A row names the kinds of audit events, who is told, and the function that makes the words. People
choose by topic what they want; what is `always` told cannot be switched off.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from accounts.models import User
from audit.models import AuditEvent
from notices import texts
from notices.audience import (
    Audience,
    admins,
    approvers,
    asked_before,
    askers,
    campaign_reviewers,
    emergency_reviewers,
    holder,
    proposer,
    repairers,
    themselves,
    watchers,
)
from notices.core.message import Message
from notices.story import Reader, Story
from provisioning.core.states import RequestState
from provisioning.models import ATTENTION_AFTER


@dataclass(frozen=True)
class Topic:
    """One row of the table."""

    key: str
    title: str
    """What it is about, for a person who chooses."""
    about: str
    """The same, for admins who look at everybody's."""
    kinds: tuple[str, ...]
    """Kinds of audit events."""
    to: tuple[Audience, ...]
    words: Callable[[Story, Reader], Message]
    when: Callable[[Story], bool] = lambda story: True
    """Not every event of these kinds is told."""
    always: bool = False
    tells_actor: bool = False
    """Also who did it is told: it may have been somebody else in their name."""
    with_topic: str = ""
    """Whoever wants that other topic gets this one too; it is not chosen by itself."""

    @property
    def chosen_as(self) -> str:
        """The key by which people choose."""
        return self.with_topic or self.key

    @property
    def may_spare_people(self) -> bool:
        """Whether a team channel may stand in for mail to each of many approvers or admins."""
        return holder not in self.to and not self.always


# --- Conditions ------------------------------------------------------------------------------


def _needs_attention_now(story: Story) -> bool:
    """The attempt after which a person should look; later ones say nothing new."""
    return bool(story.event.data.get("attempt") == ATTENTION_AFTER)


def _begins_to_fail(story: Story) -> bool:
    """The first check that fails; the following ones say nothing new."""
    checks = AuditEvent.objects.about(story.event.subject)
    checks = checks.filter(kind__in=["account:check:failed", "account:check:passed"])
    before = checks.filter(pk__lt=story.event.pk).last()
    return before is None or before.kind == "account:check:passed"


def _still_waits(story: Story) -> bool:
    """What a rule approved in the moment it was asked waits for nobody."""
    return story.asked.state == RequestState.PENDING


def _waits_for_reviews(story: Story) -> bool:
    """Only what was taken in an emergency is reviewed, and by two others at most."""
    taken = story.asked.taken
    return taken is not None and taken.closed_at is None


def _sets_a_password(story: Story) -> bool:
    """Where an admin changes somebody on Django's admin site, that is one event for all fields."""
    changed = story.event.data.get("changed", [])
    return story.event.kind == "user:password:changed" or "password" in map(str.lower, changed)


def _was_not_revoked(story: Story) -> bool:
    """Who was revoked has been told already."""
    return story.access.revoked_at is None


# --- The table -------------------------------------------------------------------------------

TOPICS: Final = (
    Topic(
        key="asked",
        title="Somebody asks for access that you decide on",
        about="A request waits for a decision",
        kinds=("request:state:pending", "request:approval", "request:stage"),
        to=(approvers,),
        words=texts.asked,
        when=_still_waits,
    ),
    Topic(
        key="settled",
        title="Such a request was decided, withdrawn or lapsed",
        about="A request that waited is over",
        kinds=(
            "request:state:approved",
            "request:state:rejected",
            "request:state:cancelled",
            "request:state:expired",
        ),
        to=(asked_before,),
        words=texts.settled,
        with_topic="asked",
    ),
    Topic(
        key="decided",
        title="Your request was approved, rejected, ended or lapsed",
        about="What became of a request",
        kinds=(
            "request:approval",
            "request:state:approved",
            "request:state:rejected",
            "request:state:cancelled",
            "request:state:expired",
        ),
        to=(holder,),
        words=texts.decided,
    ),
    Topic(
        key="question",
        title="Somebody asks about your request, or answers your question",
        about="Questions and answers about a request",
        kinds=("request:question",),
        to=(holder,),
        words=texts.question,
    ),
    Topic(
        key="answer",
        title="A question of yours is answered",
        about="Answers",
        kinds=("request:answer",),
        to=(askers,),
        words=texts.question,
        with_topic="question",
    ),
    Topic(
        key="terms",
        title="An approver shortens what you asked for, or moves it",
        about="Other terms than were asked for",
        kinds=("request:terms",),
        to=(holder,),
        words=texts.terms,
    ),
    Topic(
        key="emergency",
        title="Somebody takes emergency access that you watch over",
        about="Emergency access",
        kinds=("grant:breakglass:started",),
        to=(watchers, admins),
        words=texts.emergency,
        always=True,
    ),
    Topic(
        key="emergency-review",
        title="Emergency access is over and waits for your review",
        about="Emergency access that waits for reviews",
        kinds=("grant:phase:ended",),
        to=(emergency_reviewers,),
        words=texts.emergency_review,
        when=_waits_for_reviews,
        always=True,
        with_topic="emergency",
    ),
    Topic(
        key="active",
        title="Your access is active: how to get in",
        about="Access is active",
        kinds=("grant:phase:active",),
        to=(holder,),
        words=texts.active,
    ),
    Topic(
        key="ends-soon",
        title="Your access ends soon",
        about="Access ends soon",
        kinds=("grant:ends-soon",),
        to=(holder,),
        words=texts.ends_soon,
    ),
    Topic(
        key="ended",
        title="Your access has ended",
        about="Access has ended",
        kinds=("grant:phase:ended",),
        to=(holder,),
        words=texts.ended,
        when=_was_not_revoked,
    ),
    Topic(
        key="revoked",
        title="Somebody revoked your access",
        about="Access was revoked",
        kinds=("grant:revoked",),
        to=(holder,),
        words=texts.revoked,
        always=True,
    ),
    Topic(
        key="extension",
        title="Your access ends later, or could not be extended",
        about="Access was extended, or could not be",
        kinds=("grant:extension:confirmed", "grant:extension:refused"),
        to=(holder,),
        words=texts.extension,
    ),
    Topic(
        key="proposal",
        title="A change that widens access waits for a second admin",
        about="Proposed changes of the rules",
        kinds=("proposal:opened",),
        to=(admins,),
        words=texts.proposal,
    ),
    Topic(
        key="proposal-ends",
        title="A change that you proposed was decided",
        about="Proposed changes that are decided",
        kinds=("proposal:confirmed", "proposal:rejected", "proposal:lapsed"),
        to=(proposer,),
        words=texts.proposal,
        with_topic="proposal",
    ),
    Topic(
        key="second-admin",
        title="The rule of the second admin is switched on or off",
        about="The rule of the second admin",
        kinds=("rule:second_admin:on", "rule:second_admin:off"),
        to=(admins,),
        words=texts.second_admin,
        always=True,
    ),
    Topic(
        key="review",
        title="An access review has items that wait for you",
        about="Access reviews that begin",
        kinds=("review:opened",),
        to=(campaign_reviewers,),
        words=texts.review,
    ),
    Topic(
        key="review-late",
        title="Such a review is due soon, or overdue",
        about="Access reviews that are due",
        kinds=("review:due", "review:overdue"),
        to=(campaign_reviewers, admins),
        words=texts.review,
        with_topic="review",
    ),
    Topic(
        key="review-closed",
        title="An access review is closed",
        about="Access reviews that are closed",
        kinds=("review:closed",),
        to=(admins,),
        words=texts.review,
    ),
    Topic(
        key="stop",
        title="Somebody presses the red button",
        about="The red button",
        kinds=("stop:pressed", "stop:finished", "stop:lifted"),
        to=(admins,),
        words=texts.stop,
        always=True,
    ),
    Topic(
        key="password",
        title="Your password is changed, by whomever",
        about="A password is changed",
        kinds=("user:password:changed", "user:changed"),
        to=(themselves,),
        words=texts.password,
        when=_sets_a_password,
        always=True,
        tells_actor=True,
    ),
    Topic(
        key="trouble",
        title="Access could not be set up or removed",
        about="Access could not be set up or removed",
        kinds=("grant:failed",),
        to=(holder, admins),
        words=texts.trouble,
        when=_needs_attention_now,
    ),
    Topic(
        key="drift",
        title="AWS let through more than was approved",
        about="AWS let through more than was approved",
        kinds=("grant:cut_back", "drift:widened:removed", "drift:orphan:removed"),
        to=(admins,),
        words=texts.drift,
    ),
    Topic(
        key="narrowed",
        title="Somebody took away in AWS what was approved, and you can give it back",
        about="AWS lets through less than was approved",
        kinds=("drift:narrowed:found",),
        to=(repairers,),
        words=texts.narrowed,
    ),
    Topic(
        key="connection",
        title="The connection to an account fails",
        about="The connection to an account fails",
        kinds=("account:check:failed",),
        to=(admins,),
        words=texts.connection,
        when=_begins_to_fail,
    ),
)

BY_KEY: Final = {topic.key: topic for topic in TOPICS}
KINDS: Final = frozenset(kind for topic in TOPICS for kind in topic.kinds)


def topics_of(kind: str) -> Iterator[Topic]:
    """The rows that an event of this kind starts."""
    return (topic for topic in TOPICS if kind in topic.kinds)


def topics_for(person: User) -> list[Topic]:
    """What this person may be told, without what goes along with another topic."""
    return [
        topic
        for topic in TOPICS
        if not topic.with_topic and (topic.to != (admins,) or person.is_portal_admin)
    ]
