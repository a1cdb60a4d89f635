"""Requests, decisions, grants, AWS."""

from django.apps import AppConfig


class ProvisioningConfig(AppConfig):
    """What moves."""

    name = "provisioning"

    def ready(self) -> None:
        """Have the sweeper remove old counters of wrong passwords: they know no sweeper."""
        from accounts.sign_in import guesses
        from provisioning import hooks

        hooks.after_sweep(guesses.forget)
