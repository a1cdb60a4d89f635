"""May this person change how others are told?"""

from accounts.models import User
from provisioning.authz import Answer


def can_route(person: User) -> Answer:
    """May this person choose shared channels, and have a failed notice tried again? Admins."""
    if person.is_portal_admin:
        return Answer()
    return Answer(("Only admins choose where notices go.",))
