"""What stands for a mail server in the sandbox."""

from pathlib import Path

import pytest
from django.core.mail import EmailMultiAlternatives, mailers
from django.test import Client
from pytest_django.fixtures import Settings

from accounts.models import User
from sandbox import seed


@pytest.fixture
def folder(tmp_path: Path, settings: Settings) -> Path:
    """Where mail goes, as in `make demo`."""
    settings.MAIL_FOLDER = tmp_path / "mail"
    settings.MAILERS = {
        "default": {
            "BACKEND": "sandbox.mail.FolderBackend",
            "OPTIONS": {"folder": settings.MAIL_FOLDER},
        }
    }
    return tmp_path / "mail"


def send(subject: str) -> None:
    mail = EmailMultiAlternatives(subject, "The text <b>.", "us@example.com", ["a@example.com"])
    mail.attach_alternative("<p>The HTML.<script>alert(1)</script></p>", "text/html")
    mailers.default.send_messages([mail])


def test_an_empty_folder_is_an_empty_list(folder: Path) -> None:
    assert "No mail yet" in Client().get("/sandbox/mail/").content.decode()


def test_mail_is_listed_newest_first_and_shown_as_text_and_html(folder: Path) -> None:
    send("First")
    send("Second <i>")

    page = Client().get("/sandbox/mail/")
    newest, oldest = page.context["mails"]
    assert (newest.subject, oldest.subject) == ("Second <i>", "First")
    assert "Second &lt;i&gt;" in page.content.decode()

    text = Client().get(f"/sandbox/mail/{newest.name}/").content.decode()
    assert "The text &lt;b&gt;." in text

    html = Client().get(f"/sandbox/mail/{newest.name}/html/")
    assert html.content.startswith(b"<p>The HTML.")
    policy = html.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "sandbox allow-top-navigation-by-user-activation" in policy


@pytest.mark.parametrize("name", ["nobody", "1", "0" * 30, "%2e%2e"])
def test_no_other_file_is_shown(folder: Path, name: str, db: None) -> None:
    assert Client().get(f"/sandbox/mail/{name}/").status_code == 404
    assert Client().get(f"/sandbox/mail/{name}/html/").status_code == 404


@pytest.mark.django_db
def test_the_seed_gives_everybody_an_address() -> None:
    seed.make_people()

    assert not User.objects.filter(email="").exists()
