"""Campaigns, and the items that they ask about."""

from datetime import timedelta
from typing import Any, Self

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models
from django.db.models import Count, Exists, F, OuterRef, Q
from django.db.models.functions import Now
from django.urls import reverse

from accounts.aws_names import validate_one_line
from accounts.models import AccessProfile, AccountPair, ApprovalStage, AwsAccount, Offer, User
from provisioning.models import Grant

SHORTEST = timedelta(days=1)
LONGEST = timedelta(days=180)
"""How far ahead a review may be due."""


class Scope(models.TextChoices):
    """What a campaign is about."""

    EVERYTHING = "everything", "Everything"
    ACCOUNT = "account", "One AWS account"
    PAIR = "pair", "One account pair"
    PROFILE = "profile", "One access profile"


class CampaignQuerySet(models.QuerySet["Campaign"]):
    """Reading campaigns."""

    def visible_to(self, person: User) -> Self:
        """Those that somebody reviews in; all for admins and auditors."""
        return self if person.sees_everything else self.filter(reviewers=person)

    def with_progress(self) -> Self:
        """Add how many items there are, and how many wait."""
        return self.annotate(
            asked=Count("items", distinct=True),
            waiting=Count("items", filter=Q(items__decision="open"), distinct=True),
        ).order_by("-id")


class Campaign(models.Model):
    """One review: its items are what stood when it began, and each is kept or removed.

    Once it is closed, neither it nor any of its items ever changes: triggers hold that.
    """

    class State(models.TextChoices):
        """`preparing` while its items are being made."""

        PREPARING = "preparing", "Being prepared"
        OPEN = "open", "Open"
        CLOSED = "closed", "Closed"

    title = models.CharField(max_length=120, validators=[validate_one_line])
    scope = models.CharField(max_length=10, choices=Scope, default=Scope.EVERYTHING)
    account = models.ForeignKey(
        AwsAccount, on_delete=models.PROTECT, related_name="+", null=True, blank=True
    )
    pair = models.ForeignKey(
        AccountPair, on_delete=models.PROTECT, related_name="+", null=True, blank=True
    )
    profile = models.ForeignKey(
        AccessProfile, on_delete=models.PROTECT, related_name="+", null=True, blank=True
    )
    reviewers = models.ManyToManyField(User, related_name="reviews")
    due_at = models.DateTimeField()
    remove_on_timeout = models.BooleanField("remove what nobody answers in time", default=False)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    state = models.CharField(max_length=10, choices=State, default=State.PREPARING)
    prepared = models.JSONField(default=list, blank=True)
    """How far its items are made: the kind that is being made, and the last row that was read."""
    next_step_at = models.DateTimeField(null=True, blank=True)
    """When it is looked at next, for a reminder or the end; null once it is closed."""
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.CharField(max_length=150, blank=True)
    content_hash = models.CharField(max_length=64, blank=True)
    """SHA-256 of what was decided, as `reviews.evidence` writes it down at the end."""

    objects = CampaignQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["next_step_at"], name="review_next_step")]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["preparing", "open", "closed"]),
                name="review_state_is_known",
            ),
            models.CheckConstraint(
                condition=Q(
                    scope="everything",
                    account__isnull=True,
                    pair__isnull=True,
                    profile__isnull=True,
                )
                | Q(scope="account", account__isnull=False, pair__isnull=True, profile__isnull=True)
                | Q(scope="pair", account__isnull=True, pair__isnull=False, profile__isnull=True)
                | Q(
                    scope="profile", account__isnull=True, pair__isnull=True, profile__isnull=False
                ),
                name="review_scope_is_one_thing",
            ),
            models.CheckConstraint(
                condition=Q(state="closed", closed_at__isnull=False, next_step_at__isnull=True)
                & ~Q(content_hash="")
                | ~Q(state="closed") & Q(closed_at__isnull=True, content_hash=""),
                name="review_closed_is_whole",
            ),
        ]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        """The campaign's page."""
        return reverse("reviews:campaign", args=[self.pk])

    @property
    def subject(self) -> str:
        """The campaign in audit events."""
        return f"review:{self.pk}"

    @property
    def about(self) -> str:
        """What it is about, in words."""
        thing: Any = self.account or self.pair or self.profile
        return str(thing) if thing else "Everything"

    def offers(self) -> models.QuerySet[Offer]:
        """The offers in its scope, closed ones too."""
        match self.scope:
            case Scope.ACCOUNT:
                return Offer.objects.filter(
                    Q(pair__source=self.account) | Q(pair__target=self.account)
                )
            case Scope.PAIR:
                return Offer.objects.filter(pair=self.pair)
            case Scope.PROFILE:
                return Offer.objects.filter(profile=self.profile)
            case _:
                return Offer.objects.all()


class ItemQuerySet(models.QuerySet["Item"]):
    """Reading items."""

    def waiting_for(self, person: User) -> Self:
        """Items of open campaigns that somebody is to decide."""
        return self.filter(
            reviewer=person, decision=Item.Decision.OPEN, campaign__state=Campaign.State.OPEN
        )

    def with_deciders(self, *, taking: bool) -> Self:
        """Items whose removal leaves fewer people to decide on requests, or those where it does
        not: as it is now, because a group may decide by now on what it did not at the beginning."""
        decides = ApprovalStage.groups.through.objects.filter(group=OuterRef("group"))
        takes = Q(takes_a_decider=True) | Q(Exists(decides))
        return self.filter(takes if taking else ~takes)


class Item(models.Model):
    """One thing that somebody has, as it stood when the review began: kept, or removed."""

    class Kind(models.TextChoices):
        """What somebody has."""

        ASKS = "asks", "May ask"
        DECIDES = "decides", "Decides"
        MEMBER = "member", "Member of a group"
        LIVE = "live", "Has access now"

    class Decision(models.TextChoices):
        """`unanswered` is what is left over when a campaign closes."""

        OPEN = "open", "Waiting"
        KEEP = "keep", "Kept"
        REMOVE = "remove", "Removed"
        UNANSWERED = "unanswered", "Not answered"

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="items")
    kind = models.CharField(max_length=10, choices=Kind)
    person = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    offer = models.ForeignKey(Offer, on_delete=models.PROTECT, related_name="+", null=True)
    group = models.ForeignKey(Group, on_delete=models.PROTECT, related_name="+", null=True)
    grant = models.ForeignKey(Grant, on_delete=models.PROTECT, related_name="+", null=True)
    username = models.CharField(max_length=150)
    label = models.CharField(max_length=310)
    """The person, as pages named them."""
    what = models.TextField()
    """What they had, in words: the offer, or the group and all that it gives."""
    takes_a_decider = models.BooleanField(default=False)
    """Whether removing it left fewer people to decide on requests when the review began."""
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="review_items"
    )
    """Who is asked, and reminded. Other reviewers of the campaign may decide too."""
    decision = models.CharField(max_length=10, choices=Decision, default=Decision.OPEN)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", null=True
    )
    """Null where the time decided."""
    decided_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=500, blank=True)
    outcome = models.CharField(max_length=300, blank=True)
    """What the removal did."""

    objects = ItemQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["campaign", "decision", "id"], name="review_item_decision"),
            models.Index(
                fields=["reviewer"], condition=Q(decision="open"), name="review_item_waiting"
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "kind", "person", "offer"],
                condition=Q(kind__in=["asks", "decides"]),
                name="review_offer_is_asked_once",
            ),
            models.UniqueConstraint(
                fields=["campaign", "person", "group"],
                condition=Q(kind="member"),
                name="review_member_is_asked_once",
            ),
            models.UniqueConstraint(
                fields=["campaign", "grant"],
                condition=Q(kind="live"),
                name="review_grant_is_asked_once",
            ),
            models.CheckConstraint(
                condition=Q(
                    kind__in=["asks", "decides"],
                    offer__isnull=False,
                    group__isnull=True,
                    grant__isnull=True,
                )
                | Q(kind="member", offer__isnull=True, group__isnull=False, grant__isnull=True)
                | Q(kind="live", offer__isnull=True, group__isnull=True, grant__isnull=False),
                name="review_item_is_about_one_thing",
            ),
            models.CheckConstraint(
                condition=Q(decision__in=["open", "keep", "remove", "unanswered"]),
                name="review_decision_is_known",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["asks", "decides", "member", "live"]),
                name="review_item_kind_is_known",
            ),
            models.CheckConstraint(
                condition=~Q(reviewer=F("person"))
                & (Q(decided_by__isnull=True) | ~Q(decided_by=F("person"))),
                name="review_nobody_reviews_themselves",
            ),
            models.CheckConstraint(
                condition=Q(decision="open", decided_at__isnull=True, decided_by__isnull=True)
                | Q(decision="keep", decided_at__isnull=False, decided_by__isnull=False)
                | Q(decision="remove", decided_at__isnull=False)
                | Q(decision="unanswered", decided_at__isnull=False, decided_by__isnull=True),
                name="review_decision_is_whole",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.label}: {self.what}"
