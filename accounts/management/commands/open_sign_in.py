"""`manage.py open_sign_in NAME`: let somebody try to sign in again at once."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import User
from accounts.services.common import SHELL
from accounts.sign_in import guesses


class Command(BaseCommand):
    """For the operator, where no admin can sign in to press the button on a person's page."""

    help = "Forget the wrong passwords that keep somebody from signing in."

    def add_arguments(self, parser: CommandParser) -> None:
        """The user name."""
        parser.add_argument("username")

    def handle(self, *args: Any, **options: Any) -> None:
        """Open it, and say whether there was anything to open."""
        person = User.objects.filter(username=options["username"]).first()
        if person is None:
            raise CommandError(f"Nobody has the user name {options['username']}.")
        if guesses.open_again(actor=SHELL, label="The command line", person=person):
            self.stdout.write(f"{person.username} can try to sign in again at once.")
        else:
            self.stdout.write(f"Nothing keeps {person.username} from trying to sign in.")
