"""Requests, decisions, grants, AWS."""

from django.apps import AppConfig


class ProvisioningConfig(AppConfig):
    """What moves."""

    name = "provisioning"
