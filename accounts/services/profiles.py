"""Use cases of access profiles and their versions."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Max

from accounts.four_eyes import snapshots
from accounts.four_eyes.gate import Change, guarded
from accounts.four_eyes.widening import Kind, Snapshot
from accounts.models import AccessProfile, Offer, ProfileVersion, User, people_demanded_by
from accounts.services.common import label_of, lock_profile, name_of, save_and_tell
from audit.models import append


@transaction.atomic
def add_profile(
    *, actor: User | str, profile: AccessProfile, version: ProfileVersion
) -> AccessProfile:
    """Make an access profile with its first version."""
    save_and_tell(
        profile,
        actor=name_of(actor),
        kind="profile:added",
        sentence=f"{label_of(actor)} added the profile {profile}.",
    )
    # Nobody can be given it before it is offered, so a new profile waits for nobody.
    _store_version(actor=actor, profile=profile, version=version)
    return profile


def add_profile_version(
    *, actor: User | str, profile: AccessProfile, version: ProfileVersion, reason: str = ""
) -> ProfileVersion:
    """Add the next version of a profile. Requests made before keep the version they pinned.

    A risky version is refused while an open offer of the standard approval class holds the profile:
    what one approver may give must not grow unseen. Raises Proposed where it may give more than the
    current version: a second admin has to confirm it.
    """

    def prepare() -> Change:
        _check_version(actor=actor, profile=profile, version=version)
        return Change(
            Kind.PROFILE,
            profile.subject,
            f"Add {version}.",
            version_before(profile),
            snapshots.version(version),
        )

    def store() -> ProfileVersion:
        return _store_version(actor=actor, profile=profile, version=version)

    return guarded(prepare, store, actor=actor, reason=reason)


def version_before(profile: AccessProfile) -> Snapshot | None:
    """What roles of a profile may do today."""
    return snapshots.current_version(profile)


def store_version_from(
    after: Snapshot, *, actor: User | str, profile: AccessProfile, **facts: Any
) -> ProfileVersion:
    """Store a version that was proposed as data. Raises ValidationError as for a direct one."""
    version = ProfileVersion(**snapshots.restored(ProfileVersion, after))
    return _store_version(actor=actor, profile=profile, version=version, **facts)


def _check_version(*, actor: User | str, profile: AccessProfile, version: ProfileVersion) -> None:
    lock_profile(profile.pk)
    last = profile.versions.aggregate(last=Max("number"))["last"] or 0
    version.profile, version.number, version.created_by = profile, last + 1, name_of(actor)
    version.full_clean()
    _refuse_risk_under_standard_offers(profile, version)


@transaction.atomic
def _store_version(
    *, actor: User | str, profile: AccessProfile, version: ProfileVersion, **facts: Any
) -> ProfileVersion:
    _check_version(actor=actor, profile=profile, version=version)
    version.save(force_insert=True)
    append(
        kind="profile:version:added",
        actor=name_of(actor),
        subject=profile.subject,
        sentence=f"{label_of(actor)} added {version}.",
        data={
            "role_name": version.role_name,
            "managed_policies": version.managed_policies,
            "inline_policy": version.inline_policy,
            "session_seconds": int(version.session_duration.total_seconds()),
            "require_mfa": version.require_mfa,
            "risk": version.report.risk.words,
            "risks": [one.sentence for one in version.report.risky],
            **facts,
        },
    )
    return version


def standard_offers(profile: AccessProfile) -> models.QuerySet[Offer]:
    """Open offers of a profile for which one approver is enough."""
    return profile.offers.with_accounts().of_one_approver().filter(is_active=True)


def _refuse_risk_under_standard_offers(profile: AccessProfile, version: ProfileVersion) -> None:
    if people_demanded_by(version.report) < 2:
        return
    offers = [str(one) for one in standard_offers(profile)]
    if offers:
        message = (
            "These permissions are risky, and one approver is enough for: "
            f"{'; '.join(offers)}. Have two people approve these offers first, or close them."
        )
        field = "managed_policies" if version.managed_policies else "inline_policy"
        raise ValidationError({field: ValidationError(message, code="standard_offers")})
