"""`manage.py plan CODE`: what would be made in AWS for a request or grant, and what speaks against
it."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.clock import database_now
from provisioning.core.states import RequestState
from provisioning.engine import preview
from provisioning.models import AccessRequest
from provisioning.reading.plans import PlanView, plan_view


class Command(BaseCommand):
    """Prints findings, steps and documents of one request, as its approver sees them."""

    help = "Print the plan of a request or grant, and what pre-flight found."

    def add_arguments(self, parser: CommandParser) -> None:
        """CODE, --json and --observe."""
        parser.add_argument("code")
        parser.add_argument("--json", action="store_true", help="print everything as JSON")
        parser.add_argument(
            "--observe", action="store_true", help="look into both accounts first (reads only)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print."""
        request = self._load(options["code"])
        if options["observe"]:
            if request.state != RequestState.PENDING:
                raise CommandError(f"The request is {request.state}: there is nothing to try.")
            preview.look(request, database_now())
            request = self._load(options["code"])
        view = plan_view(request, database_now())
        if options["json"]:
            self.stdout.write(json.dumps(_as_data(view), indent=2))
        else:
            self._print(view)

    def _load(self, code: str) -> AccessRequest:
        request = AccessRequest.objects.with_parties().filter(code=code).first()
        if request is None:
            raise CommandError(f"No request has the code {code}.")
        return request

    def _print(self, view: PlanView) -> None:
        for one in view.findings:
            self.stdout.write(f"[{one['level']}] {one['title']}: {one['sentence']}")
            if one["mend"]:
                who = f" ({one['who']})" if one["who"] else ""
                self.stdout.write(f"    What to do: {one['mend']}{who}")
        if view.problem:
            self.stdout.write(f"Problem: {view.problem}")
        for number, step in enumerate(view.steps, 1):
            self.stdout.write(f"{number}. [{step['side']}] {step['call']}: {step['sentence']}")
            if step["documents"][1]:
                self.stdout.write(step["documents"][1])
        self.stdout.write(f"looked at {view.observed_at or 'never'}")
        self.stdout.write(f"fingerprint {view.fingerprint}")


def _as_data(view: PlanView) -> dict[str, Any]:
    return {
        "fingerprint": view.fingerprint,
        "looked_at": view.observed_at.isoformat() if view.observed_at else None,
        "problem": view.problem,
        "findings": list(view.findings),
        "steps": list(view.steps),
    }
