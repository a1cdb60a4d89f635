"""A grant as its holder sees it: where it leads, how long, and the way into the console."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from accounts.aws_names import Partition
from accounts.durations import in_words
from accounts.models import AwsAccount
from provisioning import authz
from provisioning.core import console
from provisioning.core.states import Phase
from provisioning.models import Grant


@dataclass(frozen=True)
class Card:
    """One grant as its holder sees it: where it leads, how long, and the way in."""

    grant: Grant
    account: AwsAccount
    source: AwsAccount
    link: console.SwitchRole
    sign_in_url: str
    phase: Phase
    usable: bool
    extendable: bool
    """Whether the clock allows more time to be asked for; the form knows what else speaks
    against it."""
    more: Sequence[tuple[int, str]]
    """Minutes that can be added, and in words, for the buttons beside the countdown."""
    ends_soon: bool

    @property
    def tone(self) -> str:
        """Colour of the profile, the same as in the console."""
        return self.link.colour


def console_link(grant: Grant) -> console.SwitchRole:
    """What the console's Switch Role form is filled with for a grant."""
    target = grant.request.offer.pair.target
    return console.SwitchRole(
        partition=target.partition,
        account_id=target.account_id,
        role_name=grant.role_name,
        display_name=f"{grant.profile_version.role_name} @ {target.name}",
        colour=grant.profile_version.profile.tone,
    )


def card_of(grant: Grant, now: datetime) -> Card:
    """A grant as a card. The Switch role link itself is made when it is opened (authz.can_use)."""
    pair = grant.request.offer.pair
    return Card(
        grant=grant,
        account=pair.target,
        source=pair.source,
        link=console_link(grant),
        sign_in_url=console.sign_in_url(
            partition=Partition(pair.source.partition).value,
            account_id=pair.source.account_id,
            base=settings.SANDBOX_CONSOLE_BASE,
        ),
        phase=grant.phase_at(now),
        usable=grant.usable_at(now),
        extendable=(extendable := not any(authz.too_late_to_extend(grant, now))),
        more=_more(grant, now) if extendable else (),
        ends_soon=grant.ends_soon(now),
    )


def _more(grant: Grant, now: datetime) -> list[tuple[int, str]]:
    longest = authz.longest_extension(grant, now)
    return [(one, in_words(one)) for one in MORE if timedelta(minutes=one) <= longest]


MORE = (15, 30, 60)
"""Minutes offered beside the countdown, as far as the offer allows; the form takes any other."""


def switch_role_url(grant: Grant) -> str:
    """The link into the console, or to what stands for it in the sandbox."""
    return console.switch_role_url(console_link(grant), base=settings.SANDBOX_CONSOLE_BASE)
