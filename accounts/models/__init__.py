"""Who and where: people, AWS accounts, account pairs, access profiles, offers, IAM identities.

Everybody else imports from here; the modules are for reading.
"""

from accounts.models.guesses import GuessCounter, GuessCounterQuerySet
from accounts.models.identities import IamIdentity, IamIdentityQuerySet
from accounts.models.offers import (
    LONGEST_GRANT,
    LONGEST_WAIT,
    SHORTEST_GRANT,
    SHORTEST_WAIT,
    USUAL_WAIT,
    ApprovalStage,
    ApprovalStageQuerySet,
    FavouriteOffer,
    Offer,
    OfferQuerySet,
    Sensitivity,
    stages_of,
)
from accounts.models.people import PortalUserManager, User
from accounts.models.profiles import (
    LONGEST_SESSION,
    SHORTEST_SESSION,
    AccessProfile,
    AccessProfileQuerySet,
    ProfileVersion,
    people_demanded_by,
)
from accounts.models.proposals import Proposal, SecondAdmin
from accounts.models.registry import (
    AccountPair,
    AccountPairQuerySet,
    AwsAccount,
    AwsAccountQuerySet,
    ConnectionCheck,
    Retirable,
    look_up_targets,
    new_external_id,
)

__all__ = [
    "LONGEST_GRANT",
    "LONGEST_SESSION",
    "LONGEST_WAIT",
    "SHORTEST_GRANT",
    "SHORTEST_SESSION",
    "SHORTEST_WAIT",
    "USUAL_WAIT",
    "AccessProfile",
    "AccessProfileQuerySet",
    "AccountPair",
    "AccountPairQuerySet",
    "ApprovalStage",
    "ApprovalStageQuerySet",
    "AwsAccount",
    "AwsAccountQuerySet",
    "ConnectionCheck",
    "FavouriteOffer",
    "GuessCounter",
    "GuessCounterQuerySet",
    "IamIdentity",
    "IamIdentityQuerySet",
    "Offer",
    "OfferQuerySet",
    "PortalUserManager",
    "ProfileVersion",
    "Proposal",
    "Retirable",
    "SecondAdmin",
    "Sensitivity",
    "User",
    "look_up_targets",
    "new_external_id",
    "people_demanded_by",
    "stages_of",
]
