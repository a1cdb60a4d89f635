"""Addresses of the registry."""

from django.urls import path
from django.views.generic import RedirectView

from accounts import converters as converters
from accounts.views import accounts, groups, identities, offers, pairs, people, profiles, proposals

app_name = "accounts"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="accounts:accounts"), name="registry"),
    path("accounts/", accounts.index, name="accounts"),
    path("accounts/new/", accounts.new, name="account-new"),
    path("accounts/<account_id:account_id>/", accounts.show, name="account"),
    path("accounts/<account_id:account_id>/edit/", accounts.edit, name="account-edit"),
    path("pairs/", pairs.index, name="pairs"),
    path("pairs/new/", pairs.new, name="pair-new"),
    path("profiles/", profiles.index, name="profiles"),
    path("profiles/new/", profiles.new, name="profile-new"),
    path("profiles/lint/", profiles.lint, name="lint"),
    path("profiles/<int:pk>/lint/", profiles.lint, name="version-lint"),
    path("profiles/<int:pk>/", profiles.show, name="profile"),
    path("profiles/<int:pk>/versions/new/", profiles.new_version, name="version-new"),
    path("offers/", offers.index, name="offers"),
    path("offers/on-pairs/", offers.new_on_pairs, name="offers-on-pairs"),
    path("offers/new/", offers.new, name="offer-new"),
    path("offers/<int:pk>/", offers.show, name="offer"),
    path("offers/<int:pk>/edit/", offers.edit, name="offer-edit"),
    path("identities/", identities.index, name="identities"),
    path("identities/new/", identities.new, name="identity-new"),
    path("identities/<int:pk>/look-again/", identities.look_again, name="identity-look-again"),
    path("identities/<int:pk>/relink/", identities.relink, name="identity-relink"),
    path("people/", people.index, name="people"),
    path("people/<int:pk>/", people.show, name="person"),
    path("people/<int:pk>/open-sign-in/", people.open_sign_in, name="person-open-sign-in"),
    path("groups/new/", groups.new, name="group-new"),
    path("groups/<int:pk>/", groups.show, name="group"),
    path("proposals/", proposals.index, name="proposals"),
    path("proposals/second-admin/", proposals.second_admin_page, name="second-admin"),
    path("proposals/<int:pk>/", proposals.show, name="proposal"),
    path("proposals/<int:pk>/confirm/", proposals.confirm, name="proposal-confirm"),
    path("proposals/<int:pk>/reject/", proposals.reject, name="proposal-reject"),
    path("proposals/<int:pk>/withdraw/", proposals.withdraw, name="proposal-withdraw"),
]
