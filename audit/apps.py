"""Append-only events."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """The lowest layer."""

    name = "audit"
