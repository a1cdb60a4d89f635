"""Use cases of reviews: start, decide, close; and the step that the sweeper takes.

Each is one transaction with its audit events. A removal takes effect at once: it only takes away.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.four_eyes import second_admin
from accounts.models import Offer, User
from accounts.refusals import Refused, refusals_recorded
from accounts.services import narrowing
from audit.clock import database_now
from audit.models import append
from provisioning import services as provisioning
from provisioning.models import Grant
from reviews import authz, evidence, items
from reviews.models import LONGEST, SHORTEST, Campaign, Item

log = structlog.get_logger(__name__)

SWEEPER: Final = "system:sweeper"
BATCH: Final = 500
"""Items made, or removed on time-out, in one step."""
REMIND_BEFORE: Final = timedelta(days=3)
REMIND_AGAIN: Final = timedelta(days=1)
State, Decision = Campaign.State, Item.Decision


class Stale(Exception):
    """Somebody else was quicker, or the review is not open."""


# --- Starting --------------------------------------------------------------------------------


def start(*, admin: User, campaign: Campaign, reviewers: Collection[User]) -> Campaign:
    """Begin a review. Its items are made in batches, the first of them at once.

    Whoever starts it answers for a sole reviewer's own items. Raises Refused, or ValidationError.
    """
    with refusals_recorded("review:start", admin, "review", "starting a review"):
        authz.require(authz.reasons_against_starting(admin))
    now = database_now()
    campaign.created_by = admin
    campaign.full_clean()
    _check_due(campaign.due_at, now)
    chosen = _enough(admin, reviewers)
    with transaction.atomic():
        campaign.next_step_at = now
        campaign.save(force_insert=True)
        campaign.reviewers.set(chosen)
        append(
            kind="review:started",
            actor=admin.username,
            subject=campaign.subject,
            sentence=f"{admin.label} started the review {campaign.title}: {campaign.about}.",
            data=_facts(campaign) | {"reviewers": sorted(one.username for one in chosen)},
        )
    step_for(campaign.pk, now)
    campaign.refresh_from_db()
    return campaign


def _check_due(due_at: datetime, now: datetime) -> None:
    if not now + SHORTEST <= due_at <= now + LONGEST:
        message = f"Choose a date from tomorrow on, at most {LONGEST.days} days ahead."
        raise ValidationError({"due_at": ValidationError(message, code="due_out_of_bounds")})


def _enough(admin: User, reviewers: Collection[User]) -> list[User]:
    chosen = {one.pk: one for one in reviewers}
    if len(chosen) == 1:
        chosen.setdefault(admin.pk, admin)
    wrong = [one.label for one in chosen.values() if authz.reasons_against_reviewing(one)]
    if wrong or len(chosen) < 2:
        message = (
            f"{', '.join(sorted(wrong))} cannot review: reviewers sign in, and are no auditors."
            if wrong
            else "Name somebody beside yourself: nobody reviews themselves."
        )
        code = "cannot_review" if wrong else "one_reviewer_only"
        raise ValidationError({"reviewers": ValidationError(message, code=code)})
    return list(chosen.values())


def _facts(campaign: Campaign) -> dict[str, object]:
    """What every event of a campaign says."""
    return {
        "title": campaign.title,
        "about": campaign.about,
        "due_at": campaign.due_at.isoformat(),
        "remove_on_timeout": campaign.remove_on_timeout,
        "path": campaign.get_absolute_url(),
    }


# --- Deciding --------------------------------------------------------------------------------


def decide(
    *, reviewer: User, campaign: Campaign, keys: Collection[int], verdict: str, reason: str
) -> int:
    """Keep or remove items, all of them or none. Returns how many.

    What was kept may still be removed while the review is open. Raises Refused, Stale, or
    ValidationError at the field.
    """
    _check_words(keys, verdict, reason)
    attempt = f"deciding in the review {campaign.title}"
    recorded = refusals_recorded("review:decide", reviewer, campaign.subject, attempt)
    with recorded, transaction.atomic():
        campaign = _open(campaign)
        chosen = _chosen(campaign, keys)
        authz.require(authz.reasons_against_deciding(reviewer, campaign, chosen))
        _refuse_decided(chosen, verdict)
        for item in chosen:
            _decide(item, Decision(verdict), reviewer=reviewer, reason=reason.strip())
    return len(chosen)


def _check_words(keys: Collection[int], verdict: str, reason: str) -> None:
    errors: dict[str, ValidationError] = {}
    if not keys:
        errors["items"] = ValidationError("Choose at least one item.", code="nothing_chosen")
    if not reason.strip():
        errors["reason"] = ValidationError("Say why: it is evidence.", code="reason_missing")
    if verdict not in {Decision.KEEP, Decision.REMOVE}:
        errors["verdict"] = ValidationError("Keep or remove.", code="unknown_verdict")
    if errors:
        raise ValidationError(dict(errors))


def _open(campaign: Campaign) -> Campaign:
    """The campaign, locked while it is open. Raises Stale."""
    locked = Campaign.objects.select_for_update(of=("self",)).get(pk=campaign.pk)
    if locked.state != State.OPEN:
        words = "is being prepared" if locked.state == State.PREPARING else "is closed"
        raise Stale(f"This review {words}.")
    return locked


def _chosen(campaign: Campaign, keys: Collection[int]) -> list[Item]:
    rows = campaign.items.select_related("person", "offer", "group", "grant", "campaign")
    chosen = list(rows.filter(pk__in=keys).order_by("pk"))
    if len(chosen) != len(set(keys)):
        raise Refused(["One of these items does not belong to this review."])
    return chosen


def _refuse_decided(chosen: Sequence[Item], verdict: str) -> None:
    free = {Decision.OPEN, Decision.KEEP} if verdict == Decision.REMOVE else {Decision.OPEN}
    if any(one.decision not in free for one in chosen):
        raise Stale("Some of these were decided meanwhile. Look again.")


def _decide(item: Item, decision: Item.Decision, *, reviewer: User | None, reason: str) -> None:
    """The only place where an item moves."""
    actor = reviewer.username if reviewer else SWEEPER
    why = f"Review {item.campaign.title}: {reason}"
    item.outcome = _remove(item, actor, why) if decision == Decision.REMOVE else ""
    item.decision, item.decided_by = decision, reviewer
    item.decided_at, item.reason = database_now(), reason[:500]
    item.save(update_fields=["decision", "decided_by", "decided_at", "reason", "outcome"])
    who = reviewer.label if reviewer else "The review's end"
    verb = {"keep": "kept", "remove": "removed"}.get(decision, "left unanswered")
    append(
        kind=f"review:item:{decision}",
        actor=actor,
        subject=item.campaign.subject,
        sentence=f"{who} {verb}: {item.label} {item.get_kind_display().lower()}, {item.what}",
        reason=reason,
        data={
            "item": item.pk,
            "kind": item.kind,
            "person": item.username,
            "what": item.what,
            "outcome": item.outcome,
        },
    )


# --- Removing --------------------------------------------------------------------------------


def _remove(item: Item, actor: str, reason: str) -> str:
    """Take it away, and end the live access that no longer rests on anything. What it did."""
    person = item.person
    match item.kind:
        case Item.Kind.ASKS:
            assert item.offer is not None  # noqa: S101  # A constraint holds it.
            done = narrowing.no_longer_asks(
                actor=actor, offer=item.offer, person=person, reason=reason
            )
        case Item.Kind.DECIDES:
            assert item.offer is not None  # noqa: S101  # The same.
            done = narrowing.no_longer_decides(
                actor=actor, offer=item.offer, person=person, reason=reason
            )
        case Item.Kind.MEMBER:
            assert item.group is not None  # noqa: S101  # The same.
            done = narrowing.leaves_group(
                actor=actor, group=item.group, person=person, reason=reason
            )
        case _:
            assert item.grant is not None  # noqa: S101  # The same.
            ended = provisioning.end_by_review(
                grants=Grant.objects.filter(pk=item.grant.pk), actor=actor, reason=reason
            )
            return "The access was revoked." if ended else "It had ended already."
    ended = _end_what_rests_on_nothing(person, actor, reason)
    words = "Taken away." if done else "It was gone already."
    return f"{words} Live grants revoked: {ended}." if ended else words


def _end_what_rests_on_nothing(person: User, actor: str, reason: str) -> int:
    """Revoke the live grants of somebody whom their offers do not name any more: as one who may
    ask, or where it was taken in an emergency, by the group that let them."""
    still = Offer.objects.naming(person).values("pk")
    live = Grant.objects.live().filter(request__requester=person, revoked_at__isnull=True)
    asked = live.filter(request__break_glass=None).exclude(request__offer__in=still)
    taken = live.exclude(request__break_glass=None).exclude(
        request__offer__break_glass_group__in=person.groups.values("pk")
    )
    return sum(
        provisioning.end_by_review(grants=those, actor=actor, reason=reason)
        for those in (asked, taken)
    )


# --- Closing ---------------------------------------------------------------------------------


def close(*, admin: User, campaign: Campaign) -> None:
    """Close a review for good: when everything is decided, or once it is overdue.

    What is open then counts as not answered. Raises Refused or Stale.
    """
    attempt = f"closing the review {campaign.title}"
    recorded = refusals_recorded("review:close", admin, campaign.subject, attempt)
    with recorded, transaction.atomic():
        campaign = _open(campaign)
        authz.require(authz.reasons_against_closing(admin, campaign, database_now()))
        _close(campaign, actor=admin.username, words=f"{admin.label} closed")


def _close(campaign: Campaign, *, actor: str, words: str) -> None:
    for item in campaign.items.filter(decision=Decision.OPEN).select_related("campaign", "person"):
        _decide(item, Decision.UNANSWERED, reviewer=None, reason="Nobody answered.")
    campaign.state, campaign.closed_at = State.CLOSED, database_now()
    campaign.closed_by, campaign.next_step_at = actor, None
    campaign.content_hash = evidence.content_hash(campaign)
    campaign.save(update_fields=["state", "closed_at", "closed_by", "next_step_at", "content_hash"])
    counts = evidence.progress(campaign)
    append(
        kind="review:closed",
        actor=actor,
        subject=campaign.subject,
        sentence=f"{words} the review {campaign.title}: {counts['keep']} kept, "
        f"{counts['remove']} removed, {counts['unanswered']} not answered.",
        data=_facts(campaign) | {"counts": counts, "content_hash": campaign.content_hash},
    )


# --- The step of the sweeper -----------------------------------------------------------------


def step(now: datetime) -> int:
    """Go on with every review that is due. Returns how many."""
    due = Campaign.objects.filter(next_step_at__lte=now).order_by("next_step_at")
    keys = list(due.values_list("pk", flat=True)[:20])
    for pk in keys:
        try:
            step_for(pk, now)
        except Exception:
            # One broken review must not keep the others from being reminded and ended.
            log.exception("review_step_failed", review=pk)
    return len(keys)


@transaction.atomic
def step_for(pk: int, now: datetime) -> None:
    """Go on with one review: make a batch of its items, remind, or end it."""
    free = Campaign.objects.select_for_update(of=("self",), skip_locked=True)
    campaign = free.filter(pk=pk, next_step_at__lte=now).first()
    if campaign is None:
        return
    if campaign.state == State.PREPARING:
        _prepare(campaign, now)
    elif now < campaign.due_at:
        _remind(campaign, "due")
        _next_step(campaign, campaign.due_at)
    elif campaign.remove_on_timeout:
        _time_out(campaign)
    elif not campaign.items.filter(decision=Decision.OPEN).exists():
        _close(campaign, actor=SWEEPER, words="Everything is decided, which closed")
    else:
        _remind(campaign, "overdue")
        _next_step(campaign, now + REMIND_AGAIN)


def _prepare(campaign: Campaign, now: datetime) -> None:
    made, then = 0, campaign.prepared or None
    while made < BATCH:
        batch = items.next_batch(campaign, BATCH - made)
        Item.objects.bulk_create(batch.items)
        made, then = made + len(batch.items), batch.then
        campaign.prepared = then or []
        if then is None:
            break
    if then is not None:
        campaign.save(update_fields=["prepared"])
        return
    campaign.state = State.OPEN
    campaign.next_step_at = max(now, campaign.due_at - REMIND_BEFORE)
    campaign.save(update_fields=["prepared", "state", "next_step_at"])
    append(
        kind="review:opened",
        actor=SWEEPER,
        subject=campaign.subject,
        sentence=f"The review {campaign.title} asks about {campaign.items.count()} items.",
        data=_facts(campaign) | {"waiting": evidence.waiting_by_reviewer(campaign)},
    )


def _next_step(campaign: Campaign, at: datetime) -> None:
    campaign.next_step_at = at
    campaign.save(update_fields=["next_step_at"])


def _remind(campaign: Campaign, kind: str) -> None:
    waiting = evidence.waiting_by_reviewer(campaign)
    if not waiting:
        return
    count = sum(waiting.values())
    append(
        kind=f"review:{kind}",
        actor=SWEEPER,
        subject=campaign.subject,
        sentence=f"In the review {campaign.title} {count} items wait, and it "
        f"{'is due soon' if kind == 'due' else 'is overdue'}.",
        data=_facts(campaign) | {"waiting": waiting},
    )


def _time_out(campaign: Campaign) -> None:
    """Remove what nobody answered, a batch at a time, then close.

    Approvers are not taken away by the clock where that takes two people: an admin could start a
    review that nobody notices.
    """
    waiting = campaign.items.filter(decision=Decision.OPEN)
    if second_admin.holds():
        waiting = waiting.with_deciders(taking=False)
    rows = waiting.select_related("person", "offer", "group", "grant", "campaign").order_by("pk")
    batch = list(rows[:BATCH])
    for item in batch:
        _decide(item, Decision.REMOVE, reviewer=None, reason="Nobody answered in time.")
    if len(batch) < BATCH:
        _close(campaign, actor=SWEEPER, words="The due date closed")
