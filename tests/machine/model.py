"""The reference: plain Python that says who may enter, written from DESIGN.md alone."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass
class Access:
    """One approved access, as people decided about it."""

    user_arn: str
    role_arn: str
    ends_at: datetime
    """The latest end that anybody approved."""
    revoked: bool = False
    repaired: bool = True
    """Whether a person's word stands behind giving what is missing."""

    def lives(self, at: datetime) -> bool:
        """Whether people want it to exist at this moment."""
        return not self.revoked and at < self.ends_at.replace(microsecond=0)


@dataclass
class Model:
    """All accesses that were ever approved, by the grant's primary key."""

    accesses: dict[int, Access] = field(default_factory=dict)

    def entitled(self, role_arn: str, at: datetime) -> set[str]:
        """Who may enter this role and work there."""
        return {
            one.user_arn
            for one in self.accesses.values()
            if one.role_arn == role_arn and one.lives(at)
        }

    def live(self, at: datetime) -> list[int]:
        """Accesses that people want to exist."""
        return [pk for pk, one in self.accesses.items() if one.lives(at)]

    def over(self, at: datetime) -> list[int]:
        """Accesses that must be gone."""
        return [pk for pk, one in self.accesses.items() if not one.lives(at)]
