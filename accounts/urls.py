"""Addresses of the registry."""

from django.urls import path
from django.views.generic import RedirectView

from accounts import converters as converters
from accounts import rule_views, views

app_name = "accounts"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="accounts:accounts"), name="registry"),
    path("accounts/", views.accounts, name="accounts"),
    path("accounts/new/", views.account_new, name="account-new"),
    path("accounts/<account_id:account_id>/", views.account, name="account"),
    path("accounts/<account_id:account_id>/edit/", views.account_edit, name="account-edit"),
    path("pairs/", views.pairs, name="pairs"),
    path("pairs/new/", views.pair_new, name="pair-new"),
    path("profiles/", views.profiles, name="profiles"),
    path("profiles/new/", views.profile_new, name="profile-new"),
    path("profiles/lint/", views.permissions_lint, name="lint"),
    path("profiles/<int:pk>/lint/", views.permissions_lint, name="version-lint"),
    path("profiles/<int:pk>/", views.profile, name="profile"),
    path("profiles/<int:pk>/versions/new/", views.version_new, name="version-new"),
    path("offers/", views.offers, name="offers"),
    path("offers/on-pairs/", views.offers_on_pairs, name="offers-on-pairs"),
    path("offers/new/", views.offer_new, name="offer-new"),
    path("offers/<int:pk>/", views.offer, name="offer"),
    path("offers/<int:pk>/edit/", views.offer_edit, name="offer-edit"),
    path("identities/", views.identities, name="identities"),
    path("identities/new/", views.identity_new, name="identity-new"),
    path("identities/<int:pk>/look-again/", views.identity_look_again, name="identity-look-again"),
    path("identities/<int:pk>/relink/", views.identity_relink, name="identity-relink"),
    path("people/", views.people, name="people"),
    path("people/<int:pk>/", rule_views.person, name="person"),
    path(
        "people/<int:pk>/open-sign-in/", rule_views.person_open_sign_in, name="person-open-sign-in"
    ),
    path("groups/new/", rule_views.group_new, name="group-new"),
    path("groups/<int:pk>/", rule_views.group, name="group"),
    path("proposals/", rule_views.proposal_list, name="proposals"),
    path("proposals/second-admin/", rule_views.second_admin_switch, name="second-admin"),
    path("proposals/<int:pk>/", rule_views.proposal, name="proposal"),
    path("proposals/<int:pk>/confirm/", rule_views.proposal_confirm, name="proposal-confirm"),
    path("proposals/<int:pk>/reject/", rule_views.proposal_reject, name="proposal-reject"),
    path("proposals/<int:pk>/withdraw/", rule_views.proposal_withdraw, name="proposal-withdraw"),
]
