"""Use cases of everybody whom a request concerns: ask, answer, and have read."""

from accounts.models import User
from provisioning import authz, lifecycle
from provisioning.models import AccessRequest, Comment, ReadMark
from provisioning.services.common import refusals_recorded, require


def say(*, person: User, request: AccessRequest, text: str) -> Comment:
    """Ask a question about a request, or answer one. Raises Refused, or ValidationError."""
    with refusals_recorded("request:question", person, request.subject, "asking a question"):
        require(authz.can_comment(person, request))
    comment = Comment(request=request, author=person, text=text.strip())
    comment.clean_fields(exclude=["request", "author"])
    lifecycle.say(comment)
    return comment


def note_read(*, person: User, request: AccessRequest, newest: Comment | None) -> None:
    """Remember how far this person has read. It decides nothing, so it makes no event."""
    if newest is None:
        return
    ReadMark.objects.bulk_create(
        [ReadMark(request=request, person=person, comment_id=newest.pk)],
        update_conflicts=True,
        unique_fields=["request", "person"],
        update_fields=["comment_id"],
    )
