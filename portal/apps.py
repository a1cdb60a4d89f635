"""The site's own app: static files, template tags, deploy checks, logs."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    """Registers the deploy checks, and what lines of the log say."""

    name = "portal"

    def ready(self) -> None:
        """Register them when Django starts."""
        from portal import checks, logs  # noqa: F401  # Importing them registers what they hold.
