"""What is said: one function for each topic, from the rows as they are now.

Plain words; each channel escapes for itself. `Pointless` is raised when there is nothing left to
say, and its text goes to the delivery log.
"""

from dataclasses import replace
from datetime import datetime

from django.db.models import Q
from django.urls import reverse

from accounts.durations import in_words
from accounts.models import AccountPair
from audit.models import AuditEvent
from notices.audience import told_of
from notices.core.message import Link, Message, Pointless, TooEarly
from notices.core.words import one_line, paragraph, subject
from notices.models import Notice
from notices.story import Reader, Story, address
from provisioning import approvals
from provisioning.core.states import RequestState
from provisioning.models import AccessRequest, DriftFinding, Grant
from provisioning.reading import cards

# --- Parts -----------------------------------------------------------------------------------


def _what(request: AccessRequest) -> str:
    """`SecurityReadOnlyRole in Workload`."""
    profile = request.profile_version.profile.name
    return one_line(f"{profile} in {request.offer.pair.target.name}")


def _route(pair: AccountPair) -> tuple[tuple[str, str], ...]:
    return (
        ("From account", one_line(str(pair.source))),
        ("Into account", one_line(str(pair.target))),
    )


def _facts(request: AccessRequest, reader: Reader) -> tuple[tuple[str, str], ...]:
    minutes = int(request.lasts.total_seconds() // 60)
    extends = request.extends_until
    span_of_time = (
        (("New end", reader.moment(extends)),) if extends else (("How long", in_words(minutes)),)
    )
    starts = (("Starts", reader.moment(request.begins_at)),) if request.begins_at else ()
    return (
        ("Person", one_line(request.requester.label)),
        ("Access", one_line(request.profile_version.profile.name)),
        *_route(request.offer.pair),
        *span_of_time,
        *starts,
    )


def _of_grant(grant: Grant, reader: Reader) -> tuple[tuple[str, str], ...]:
    holder = (("Person", one_line(grant.requester.label)),)
    return (
        *(holder if _is_about_another(grant, reader) else ()),
        ("Role", one_line(grant.role_name)),
        *_route(grant.request.offer.pair),
        ("Ends", reader.moment(grant.enforced_until)),
    )


def _is_about_another(grant: Grant, reader: Reader) -> bool:
    return reader.person is None or reader.person.pk != grant.request.requester_id


def _whose(grant: Grant, reader: Reader) -> str:
    """`Your access` or `The access of Alice Ashby`."""
    if _is_about_another(grant, reader):
        return f"The access of {one_line(grant.requester.label)}"
    return "Your access"


def _page(request: AccessRequest, label: str) -> Link:
    return Link(label, address(request.get_absolute_url()))


def _ask(request: AccessRequest) -> str:
    """The subject that all mails to approvers about one request share, so that they are one
    conversation."""
    wish = "more time for " if request.extends_id else ""
    return subject(f"{request.requester.label} asks for {wish}{_what(request)}")


# --- Requests --------------------------------------------------------------------------------


def asked(story: Story, reader: Reader) -> Message:
    """To approvers: a request waits."""
    request = story.asked
    if request.state != RequestState.PENDING or request.lapses_at <= story.now:
        over = "lapsed" if request.state == RequestState.PENDING else request.state
        raise Pointless(f"The request was {over} before this was sent.")
    last_word = (
        "Enough people have approved it, but nobody decided: who had lost the right to approve has "
        "it again, or fewer approvals are asked for by now. One more approval decides, also by "
        "somebody who has approved before.",
    )
    return Message(
        subject=_ask(request),
        headline=_ask(request),
        lines=(
            *(last_word if approvals.standing(request).needs_last_word else ()),
            "Look at the plan and decide on the page of the request. "
            f"It lapses on {reader.moment(request.lapses_at)}.",
        ),
        facts=_facts(request, reader),
        quote=paragraph(request.reason),
        links=(_page(request, "Look at the request"),),
    )


def settled(story: Story, reader: Reader) -> Message:
    """To those who were asked: nothing is left to do."""
    request = story.asked
    _require_told(story, reader)
    how = {
        RequestState.APPROVED: f"Approved by {one_line(story.actor)}",
        RequestState.REJECTED: f"Rejected by {one_line(story.actor)}",
        RequestState.CANCELLED: "Withdrawn",
        RequestState.EXPIRED: "Lapsed: nobody decided in time",
    }[RequestState(story.event.kind.rpartition(":")[2])]
    return Message(
        subject=f"Re: {_ask(request)}",
        headline=f"{how}. Nothing is left for you to do.",
        lines=(f"{_ask(request)}.",),
        quote=paragraph(story.event.reason),
        links=(_page(request, "Open the request"),),
    )


def _require_told(story: Story, reader: Reader) -> None:
    """Go on only if this reader was told of the request."""
    told = told_of(story.asked, reader.channel).filter(
        person=reader.person, event_id__lt=story.event.pk
    )
    if told.filter(state=Notice.State.SENT).exists():
        return
    if told.filter(state=Notice.State.WAITING, leased_until__gt=story.now).exists():
        raise TooEarly("The first notice is on its way at this moment.")
    raise Pointless("They had not been told of the request.")


def decided(story: Story, reader: Reader) -> Message:
    """To the requester: how it was decided, or how far that is."""
    request = story.asked
    who = one_line(story.actor)
    wish = f"more time for {_what(request)}" if request.extends_id else _what(request)
    headline, line = {
        "request:approval": (
            f"{who} approved your request",
            "It needs more approvals before anything is made.",
        ),
        "request:state:approved": (f"{who} approved your request", _what_comes(request, reader)),
        "request:state:rejected": (f"{who} rejected your request", "Nothing was made in AWS."),
        "request:state:cancelled": (f"{who} withdrew your request", "Nothing was made in AWS."),
        "request:state:expired": (
            "Your request lapsed",
            one_line(story.event.sentence) + " You can ask again.",
        ),
    }[story.event.kind]
    return Message(
        subject=subject(f"{headline}: {wish}"),
        headline=headline,
        lines=(line,),
        facts=_facts(request, reader),
        quote=paragraph(story.event.reason),
        links=(_page(request, "Open the request"),),
    )


def question(story: Story, reader: Reader) -> Message:
    """To the requester: somebody asks. To who asked: the answer."""
    request = story.asked
    if request.state != RequestState.PENDING:
        raise Pointless(f"The request was {request.state} before this was sent.")
    own = reader.person is not None and reader.person.pk == request.requester_id
    about = f"your request: {_what(request)}" if own else f"the request: {_ask(request)}"
    verb = "asks about" if story.event.kind == "request:question" else "answered about"
    return Message(
        subject=subject(f"{story.actor} {verb} {about}"),
        headline=one_line(f"{story.actor} {verb} {about}"),
        lines=("Answer on the page of the request.",) if own else (),
        quote=paragraph(story.event.reason),
        links=(_page(request, "Open the request"),),
    )


def terms(story: Story, reader: Reader) -> Message:
    """To the requester: an approver wants less than was asked for."""
    request = story.asked
    if request.state != RequestState.PENDING:
        raise Pointless(f"The request was {request.state} before this was sent.")
    return Message(
        subject=subject(f"{story.actor} changed the terms of your request: {_what(request)}"),
        headline=f"{one_line(story.actor)} changed the terms of your request",
        lines=(one_line(story.event.sentence),),
        quote=paragraph(story.event.reason),
        links=(_page(request, "Open the request"),),
    )


def _what_comes(request: AccessRequest, reader: Reader) -> str:
    if request.extends_id:
        return "The later end is being set in AWS; you are told once it holds."
    if request.starts_at and request.starts_at > request.asked_at:
        return (
            f"It starts on {reader.moment(request.starts_at)}, and you are told when it is ready."
        )
    return "It is being set up in AWS; you are told when it is ready."


# --- Access ----------------------------------------------------------------------------------


def active(story: Story, reader: Reader) -> Message:
    """To the holder: the way in. To a shared channel: that it is open, without the way in."""
    grant = story.access
    if not grant.usable_at(story.now):
        raise Pointless("The access was not active any more.")
    access = cards.card_of(grant, story.now)
    whose, target = _whose(grant, reader), one_line(access.account.name)
    ends = reader.moment(grant.enforced_until)
    if _is_about_another(grant, reader):
        lines: tuple[str, ...] = (f"It ends on {ends}, by itself.",)
        links: tuple[Link, ...] = (_page(grant.request, "Open the access"),)
    else:
        lines = (
            f"It ends on {ends}, by itself: AWS refuses from then on, open sessions too.",
            f"First sign in to {one_line(access.source.name)} as the IAM user "
            f"{one_line(grant.identity.user_name)}, in the browser that you will use. "
            "Then switch role.",
        )
        links = (
            Link(f"1. Sign in to {one_line(access.source.name)}", access.sign_in_url),
            Link("2. Switch role", cards.switch_role_url(grant)),
            replace(_page(grant.request, "Give it back or ask for more time"), minor=True),
        )
    return Message(
        subject=subject(f"{whose} to {target} is active"),
        headline=f"{whose} to {target} is active",
        lines=lines,
        facts=_of_grant(grant, reader),
        links=links,
    )


def ends_soon(story: Story, reader: Reader) -> Message:
    """To the holder, while there is time to ask for more."""
    grant = story.access
    if not grant.should_exist(story.now):
        raise Pointless("The access was over before this was sent.")
    target = one_line(grant.request.offer.pair.target.name)
    ends = reader.moment(grant.enforced_until)
    return Message(
        subject=subject(f"{_whose(grant, reader)} to {target} ends soon"),
        headline=f"{_whose(grant, reader)} to {target} ends on {ends}",
        lines=("Save your work. If you need longer, ask for more time before it ends.",),
        facts=_of_grant(grant, reader),
        links=(_page(grant.request, "Ask for more time"),),
    )


def ended(story: Story, reader: Reader) -> Message:
    """To the holder: it is over, and nothing is left."""
    grant = story.access
    target = one_line(grant.request.offer.pair.target.name)
    return Message(
        subject=subject(f"{_whose(grant, reader)} to {target} has ended"),
        headline=f"{_whose(grant, reader)} to {target} has ended",
        lines=("Nothing of it is left in AWS. If you need it again, ask again.",),
        facts=_of_grant(grant, reader),
        links=(_page(grant.request, "Open the access"),),
    )


def revoked(story: Story, reader: Reader) -> Message:
    """To the holder: somebody ended it."""
    grant = story.access
    target = one_line(grant.request.offer.pair.target.name)
    return Message(
        subject=subject(f"{_whose(grant, reader)} to {target} was revoked"),
        headline=f"{_whose(grant, reader)} to {target} was revoked",
        lines=(one_line(story.event.sentence), "AWS refuses it from now on, open sessions too."),
        facts=_of_grant(grant, reader),
        quote=paragraph(story.event.reason),
        links=(_page(grant.request, "Open the access"),),
    )


def extension(story: Story, reader: Reader) -> Message:
    """To the holder: whether AWS has the later end."""
    grant = story.access
    target = one_line(grant.request.offer.pair.target.name)
    given = story.event.kind == "grant:extension:confirmed"
    how = "ends later" if given else "was not extended"
    return Message(
        subject=subject(f"{_whose(grant, reader)} to {target} {how}"),
        headline=f"{_whose(grant, reader)} to {target} {how}",
        lines=(f"It ends on {reader.moment(grant.enforced_until)}.",),
        facts=_of_grant(grant, reader),
        quote=paragraph(story.event.reason),
        links=(_page(grant.request, "Open the access"),),
    )


def trouble(story: Story, reader: Reader) -> Message:
    """To holder and admins: a worker has failed several times."""
    grant = story.access
    if not grant.needs_attention:
        raise Pointless("It went well before this was sent.")
    target = one_line(grant.request.offer.pair.target.name)
    given = grant.should_exist(story.now)
    headline = (
        f"{_whose(grant, reader)} to {target} could not be set up yet"
        if given
        else f"{_whose(grant, reader)} to {target} could not be removed completely yet"
    )
    return Message(
        subject=subject(f"Needs attention: {headline}"),
        headline=headline,
        lines=("A worker failed several times and goes on trying.", paragraph(grant.last_error)),
        facts=_of_grant(grant, reader),
        links=(_page(grant.request, "Open the access"),),
    )


def emergency(story: Story, reader: Reader) -> Message:
    """To approvers and admins: somebody let themselves in."""
    grant = story.access
    who, target = grant.requester.label, grant.request.offer.pair.target.name
    return Message(
        subject=subject(f"Emergency access: {who} to {target}"),
        headline=f"{one_line(who)} took emergency access to {one_line(target)}",
        lines=(
            "Nobody approved it before. Look at it now: revoke it if it is not what it should be. "
            "It is reviewed afterwards.",
        ),
        facts=_of_grant(grant, reader),
        quote=paragraph(story.event.reason or grant.request.reason),
        links=(_page(grant.request, "Look at the access"),),
    )


def emergency_review(story: Story, reader: Reader) -> Message:
    """To approvers and admins: what was taken in an emergency is over, and nobody has closed it."""
    request, taken = story.asked, story.asked.taken
    if taken is None or taken.closed_at is not None:
        raise Pointless("Two others had reviewed it before this was sent.")
    if reader.person is not None and taken.reviews.filter(reviewer=reader.person).exists():
        raise Pointless("They had reviewed it before this was sent.")
    who, target = request.requester.label, request.offer.pair.target.name
    return Message(
        subject=subject(f"Review the emergency access of {who} to {target}"),
        headline=f"The emergency access of {one_line(who)} to {one_line(target)} is over",
        lines=("Say whether it was right to take it. It stays open until two others have.",),
        facts=_of_grant(story.access, reader),
        quote=paragraph(request.reason),
        links=(_page(request, "Review it"),),
    )


def second_admin(story: Story, reader: Reader) -> Message:
    """To admins: what widens access waits for a second admin from now on, or no longer does."""
    off = story.event.kind == "rule:second_admin:off"
    return Message(
        subject=subject(story.event.sentence),
        headline=one_line(story.event.sentence),
        lines=("From now on one admin alone can make a change that widens access.",) if off else (),
        quote=paragraph(story.event.reason),
        links=(Link("Look at the rule", address(reverse("accounts:proposals"))),),
    )


def review(story: Story, reader: Reader) -> Message:
    """To reviewers: items wait for them. To admins: a review is late, or closed."""
    event = story.event
    later = AuditEvent.objects.about(event.subject).filter(pk__gt=event.pk, kind="review:closed")
    if later.exists():
        raise Pointless("The review was closed before this was sent.")
    waiting = event.data.get("waiting", {})
    own = waiting.get(reader.person.username, 0) if reader.person else 0
    due = event.data.get("due_at")
    number = int(event.subject.rpartition(":")[2])
    return Message(
        subject=subject(event.sentence),
        headline=one_line(event.sentence),
        lines=(f"For you {own} {'waits' if own == 1 else 'wait'}: keep or remove.",) if own else (),
        facts=(("Due", reader.moment(datetime.fromisoformat(due))),) if due else (),
        links=(Link("Open the review", address(reverse("reviews:campaign", args=[number]))),),
    )


def proposal(story: Story, reader: Reader) -> Message:
    """To admins: a change of the rules waits for a second one. To who proposed it: the outcome."""
    opened = story.event.kind == "proposal:opened"
    later = AuditEvent.objects.about(story.event.subject).filter(pk__gt=story.event.pk)
    if opened and later.filter(kind__in=PROPOSAL_ENDS).exists():
        raise Pointless("The proposal was decided before this was sent.")
    number = int(story.event.subject.rpartition(":")[2])
    return Message(
        subject=subject(story.event.sentence),
        headline=one_line(story.event.sentence),
        lines=("It takes effect when a second admin confirms it.",) if opened else (),
        quote=paragraph(story.event.reason),
        links=(Link("Look at the change", address(reverse("accounts:proposal", args=[number]))),),
    )


PROPOSAL_ENDS = (
    "proposal:confirmed",
    "proposal:rejected",
    "proposal:withdrawn",
    "proposal:lapsed",
)


def stop(story: Story, reader: Reader) -> Message:
    """To admins: access ends with the red button, or may be asked for again."""
    number = int(story.event.subject.rpartition(":")[2])
    return Message(
        subject=subject(story.event.sentence),
        headline=one_line(story.event.sentence),
        lines=(f"By {one_line(story.actor)}.",),
        quote=paragraph(story.event.reason),
        links=(Link("Watch it end", address(reverse("provisioning:stop", args=[number]))),),
    )


# --- People ----------------------------------------------------------------------------------


def password(story: Story, reader: Reader) -> Message:
    """To whose password it is: it was changed, perhaps not by them."""
    person = story.person
    if person is None:
        raise Pointless("The person is not there any more.")
    own = story.event.actor == person.username
    how = "by somebody who knew the old one" if own else f"by {one_line(story.actor)}"
    facts = (("When", reader.moment(story.event.at)),)
    if reader.is_shared:
        what = f"The password of {person.label} was changed"
        return Message(subject=subject(what), headline=f"{one_line(what)} {how}", facts=facts)
    what = "Your password for Sallyport was changed"
    return Message(
        subject=what,
        headline=f"{what} {how}",
        lines=(
            "You stay signed in where it was changed, and nowhere else."
            if own
            else "You are signed out everywhere. Change it once you have signed in.",
            "If this was not you, or you did not ask for it, tell an admin of Sallyport at once.",
        ),
        facts=facts,
        links=(Link("Change your password", address(reverse("own-password"))),),
    )


# --- Accounts --------------------------------------------------------------------------------


def drift(story: Story, reader: Reader) -> Message:
    """To admins: AWS let through what nobody had approved, and it was taken away."""
    place = story.account or story.access.request.offer.pair.target
    return Message(
        subject=subject(f"AWS let through more than was approved in {place.name}"),
        headline=f"AWS let through more than was approved in {one_line(place.name)}",
        lines=(one_line(story.event.sentence), "Find out who changed it: CloudTrail knows."),
        facts=(("Account", one_line(str(place))),),
        quote=paragraph(story.event.reason),
        links=(Link("Open Drift", address(reverse("provisioning:drift"))),),
    )


def narrowed(story: Story, reader: Reader) -> Message:
    """To those who can repair it: something that was approved is missing in AWS."""
    finding = DriftFinding.objects.select_related("account").get(pk=story.event.data["finding"])
    grant = story.grant
    if finding.resolved_at is not None:
        raise Pointless("Nothing was missing any more before this was sent.")
    if grant is not None and (grant.is_over or not grant.should_exist(story.now)):
        raise Pointless("The access was over before this was sent.")
    if _is_being_repaired(story):
        raise Pointless("Somebody had it repaired before this was sent.")
    what = _whose(grant, reader) if grant else f"The switch group {one_line(finding.name)}"
    headline = f"{what} lacks something in AWS that was approved"
    page = reverse("provisioning:repair", args=[grant.code]) if grant else None
    return Message(
        subject=subject(f"{headline}: {finding.account.name}"),
        headline=headline,
        lines=(
            one_line(finding.summary),
            "Somebody took it away there. It comes back only when a person gives it back.",
        ),
        facts=(
            ("Missing in", one_line(str(finding.account))),
            *(_of_grant(grant, reader) if grant else ()),
        ),
        links=(Link("Look at what is missing", address(page or reverse("provisioning:drift"))),),
    )


def _is_being_repaired(story: Story) -> bool:
    """Whether a person has asked for that since; the next scan settles the finding."""
    later = AuditEvent.objects.about(story.event.subject).filter(pk__gt=story.event.pk)
    of_group = Q(kind="pair:restore:asked", data__finding=story.event.data["finding"])
    return later.filter(Q(kind="grant:reopened") | of_group).exists()


def connection(story: Story, reader: Reader) -> Message:
    """To admins: an account can't be worked in as it should."""
    account = story.where
    last = account.checks.filter(finished_at__isnull=False).first()
    if last is not None and last.passed:
        raise Pointless("The check passed before this was sent.")
    failed = story.event.data.get("failed", [])
    return Message(
        subject=subject(f"The connection to {account.name} is not as it should be"),
        headline=f"The connection to {one_line(account.name)} is not as it should be",
        lines=(
            "Access into or out of this account may fail until its owner has mended it.",
            *(f"Not passed: {one_line(one)}" for one in failed),
        ),
        facts=(("Account", one_line(str(account))),),
        links=(Link("Open the account", address(account.get_absolute_url())),),
    )
