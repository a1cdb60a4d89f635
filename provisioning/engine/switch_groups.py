"""Making switch groups what admins registered."""

from typing import Final

from accounts.models import AccountPair
from audit.clock import database_now
from provisioning import lifecycle
from provisioning.aws import iam
from provisioning.aws.errors import AwsError
from provisioning.core import plan
from provisioning.core.plan import ForeignObject
from provisioning.engine import pacing
from provisioning.engine.entry import enter_for_group
from provisioning.engine.failures import in_words, not_converging
from provisioning.specs import group_spec

CALLS: Final = 8
"""What a switch group takes, most of it reading."""
PASSES: Final = 4
"""How often one run observes again: create, answer lost, adopt, verify."""


def prepare_pair(pair_id: int) -> None:
    """Make a pair's switch group what an admin registered, if that was asked for.

    Only an admin's change asks for it: what somebody took away in AWS is not given back (I12).
    """
    began = database_now()
    pairs = AccountPair.objects.select_related("source", "target")
    pair = pairs.filter(pk=pair_id, next_check_at__lte=began, retiring_at=None).first()
    if pair is None or not pacing.has_room(pair.source, CALLS):
        return
    problem = ""
    try:
        _make_group(pair)
    except (AwsError, ForeignObject) as error:
        problem = in_words(error)
    lifecycle.note_pair(pair, began=began, now=database_now(), error=problem)


def _make_group(pair: AccountPair) -> None:
    spec = group_spec(pair)
    with enter_for_group(pair.source, spec, operation=f"pair-{pair.pk}") as session:
        for _ in range(PASSES):
            steps = plan.plan_group(spec, iam.find_group(session.client, spec.name))
            if not steps:
                return
            for step in steps:
                iam.apply(session.client, step)
    raise not_converging()
