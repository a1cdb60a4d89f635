"""People, AWS accounts, pairs, profiles, offers, IAM identities."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Who and where."""

    name = "accounts"
