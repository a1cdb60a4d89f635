"""What admins type: accounts, pairs, profiles, offers, people, groups, decisions on proposals.

Parses input into types. No writes: services have those; and the models repeat every rule. Everybody
else imports from here; the modules are for reading.
"""

from accounts.forms.common import RegistryForm
from accounts.forms.fields import NO_COMPLETION, PeopleChoice
from accounts.forms.offers import OfferChangeForm, OfferForm, OffersForm
from accounts.forms.people import GroupForm, PersonForm
from accounts.forms.profiles import ProfileForm, VersionForm
from accounts.forms.proposals import ReasonForm, ShowForm
from accounts.forms.registry import AccountChangeForm, AccountForm, IdentityForm, PairForm

__all__ = [
    "NO_COMPLETION",
    "AccountChangeForm",
    "AccountForm",
    "GroupForm",
    "IdentityForm",
    "OfferChangeForm",
    "OfferForm",
    "OffersForm",
    "PairForm",
    "PeopleChoice",
    "PersonForm",
    "ProfileForm",
    "ReasonForm",
    "RegistryForm",
    "ShowForm",
    "VersionForm",
]
