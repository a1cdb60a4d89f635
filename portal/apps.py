"""The site's own app: static files, template tags, deploy checks."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    """Registers the deploy checks."""

    name = "portal"

    def ready(self) -> None:
        """Register checks when Django starts."""
        from portal import checks  # noqa: F401  # Importing it registers the checks.
