"""The JSON that a webhook gets. Its form is public: docs/notices.md; add to it, change nothing."""

from typing import Any

from django.conf import settings

from notices.core.message import Message
from notices.models import Notice
from notices.story import Story


def payload_of(notice: Notice, story: Story, message: Message) -> dict[str, Any]:
    """One notice. Every value is text, a number or null; times are ISO 8601 in UTC."""
    event = notice.event
    return {
        "version": 1,
        "type": event.kind,
        "topic": notice.topic,
        "reminder": notice.number,
        "at": event.at.isoformat(),
        "portal": settings.PORTAL_ID,
        "subject": event.subject,
        "actor": event.actor,
        "sentence": event.sentence,
        "reason": event.reason,
        "request": _request(story),
        "grant": _grant(story),
        "account": story.account.account_id if story.account else None,
        "headline": message.headline,
        "url": message.links[0].url if message.links else None,
    }


def _request(story: Story) -> dict[str, Any] | None:
    request = story.request
    if request is None:
        return None
    pair = request.offer.pair
    return {
        "code": request.code,
        "state": request.state,
        "requester": request.requester.username,
        "profile": request.profile_version.profile.name,
        "source_account": pair.source.account_id,
        "target_account": pair.target.account_id,
        "minutes": int(request.lasts.total_seconds() // 60),
        "reason": request.reason,
    }


def _grant(story: Story) -> dict[str, Any] | None:
    grant = story.grant
    if grant is None:
        return None
    return {
        "code": grant.code,
        "phase": grant.phase_at(story.now).value,
        "holder": grant.requester.username,
        "iam_user": grant.identity.user_name,
        "role": grant.role_name,
        "starts_at": grant.starts_at.isoformat(),
        "ends_at": grant.enforced_until.isoformat(),
    }
