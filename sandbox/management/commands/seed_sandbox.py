"""`manage.py seed_sandbox`: people, accounts, pairs and offers of the classic walk-through."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from provisioning.aws.errors import AwsError
from sandbox.seed import SeedFailed, seed
from sandbox.world import NotTheSandbox


class Command(BaseCommand):
    """Fills the sandbox; a second run changes nothing. `make demo` runs it at each start."""

    help = "Fill the sandbox with the people, accounts and offers of the walk-through."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        """Seed, or end with what went wrong (exit status 1)."""
        try:
            seed()
        except (AwsError, NotTheSandbox, SeedFailed) as error:
            raise CommandError(f"The sandbox could not be filled. {error}") from error
