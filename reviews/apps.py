"""Access reviews."""

from django.apps import AppConfig


class ReviewsConfig(AppConfig):
    """Above provisioning, beside notices. The sweeper takes its steps."""

    name = "reviews"

    def ready(self) -> None:
        """Have the sweeper look after campaigns: it cannot know of them, being below."""
        from provisioning import hooks
        from reviews import services

        hooks.after_sweep(services.step)
