"""Notices."""

from django.apps import AppConfig


class NoticesConfig(AppConfig):
    """Above provisioning: it reads what happened there, and nothing there knows of it."""

    name = "notices"
