"""`manage.py plan CODE`: what would be made in AWS for a request or grant."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.clock import database_now
from provisioning.core.plan import fingerprint
from provisioning.models import AccessRequest
from provisioning.preview import unseen_steps
from provisioning.specs import spec_for_request


class Command(BaseCommand):
    """Prints the steps and documents of one request, as its approver sees them."""

    help = "Print the plan of a request or grant."

    def add_arguments(self, parser: CommandParser) -> None:
        """CODE and --json."""
        parser.add_argument("code")
        parser.add_argument("--json", action="store_true", help="print the steps as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print."""
        request = AccessRequest.objects.with_parties().filter(code=options["code"]).first()
        if request is None:
            raise CommandError(f"No request has the code {options['code']}.")
        spec = spec_for_request(request)
        steps = unseen_steps(request, database_now())
        if options["json"]:
            self.stdout.write(
                json.dumps({"fingerprint": fingerprint(spec), "steps": steps}, indent=2)
            )
            return
        for number, step in enumerate(steps, 1):
            self.stdout.write(f"{number}. [{step['side']}] {step['call']}: {step['sentence']}")
            if step["documents"][1]:
                self.stdout.write(step["documents"][1])
        self.stdout.write(f"fingerprint {fingerprint(spec)}")
