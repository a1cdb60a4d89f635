"""What admins type: accounts, pairs, profiles, offers, people who are IAM users.

Parses input into types. No writes: services have those; and the models repeat every rule. Everybody
else imports from here; the modules are for reading.
"""

from accounts.forms.common import RegistryForm
from accounts.forms.fields import NO_COMPLETION, PeopleChoice
from accounts.forms.offers import OfferChangeForm, OfferForm, OffersForm
from accounts.forms.profiles import ProfileForm, VersionForm
from accounts.forms.registry import AccountChangeForm, AccountForm, IdentityForm, PairForm

__all__ = [
    "NO_COMPLETION",
    "AccountChangeForm",
    "AccountForm",
    "IdentityForm",
    "OfferChangeForm",
    "OfferForm",
    "OffersForm",
    "PairForm",
    "PeopleChoice",
    "ProfileForm",
    "RegistryForm",
    "VersionForm",
]
