"""Somebody's browser: HTTP against the web process, with the cookies and tokens of a session."""

import http.client
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from typing import Final
from urllib.parse import urlencode

PATIENCE: Final = 60.0  # seconds, on a busy machine
CHOICES: Final = {"checkbox", "radio"}
"""Inputs that send nothing unless they are checked."""
NO_ANSWER: Final = 0
"""The status of a page that did not come."""


@dataclass(frozen=True)
class Page:
    """One answer."""

    status: int
    text: str = ""
    location: str = ""

    @property
    def accepted(self) -> bool:
        """Whether a form was taken: the browser is sent on."""
        return self.status == http.client.FOUND


@dataclass
class Form:
    """One form of a page, as it is before somebody fills it in."""

    action: str
    names: set[str] = field(default_factory=set)
    """Of everything that it may send."""
    values: dict[str, str] = field(default_factory=dict)
    """What it sends of itself."""

    def filled(self, **fields: object) -> dict[str, object]:
        """What is sent, with these typed or clicked; all of them have to be in the form."""
        assert fields.keys() <= self.names, (self.action, fields.keys() - self.names)
        return {**self.values, **fields}


class _Forms(HTMLParser):
    """Reads the forms of a page that are posted."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._inside: Form | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A form, or what is in one."""
        told = dict(attrs)
        if tag == "form":
            self._inside = Form(told.get("action") or "")
            if told.get("method") == "post":
                self.found.append(self._inside)
        elif self._inside and tag in {"input", "button"} and (name := told.get("name")):
            self._inside.names.add(name)
            if tag == "input" and ("checked" in told or told.get("type") not in CHOICES):
                self._inside.values[name] = told.get("value") or ("on" if "checked" in told else "")

    def handle_endtag(self, tag: str) -> None:
        """What comes after a form is in none."""
        if tag == "form":
            self._inside = None


def forms_of(page: str) -> list[Form]:
    """Those of a page that are posted."""
    reader = _Forms()
    reader.feed(page)
    return reader.found


@dataclass
class Browser:
    """One person's browser. Several threads may use it at once."""

    host: str
    port: int
    username: str
    cookies: dict[str, str] = field(default_factory=dict)

    def sign_in(self) -> Page:
        """By the sandbox's one click."""
        self.cookies.clear()
        self.get("/sign-in/")
        return self.post(f"/sandbox/sign-in/{self.username}/")

    def get(self, path: str) -> Page:
        """Open a page."""
        return self._ask("GET", path)

    def post(self, path: str, **fields: object) -> Page:
        """Send a form."""
        token = self.cookies.get("csrf", "")
        return self._ask(
            "POST", path, urlencode(fields | {"csrfmiddlewaretoken": token}, doseq=True)
        )

    def post_at_once(self, times: int, path: str, **fields: object) -> list[Page]:
        """Send a form several times in the same moment: an impatient click."""
        with ThreadPoolExecutor(times) as threads:
            sent = [threads.submit(self.post, path, **fields) for _ in range(times)]
            return [one.result() for one in sent]

    def fill_in(self, path: str, page: str = "", **fields: object) -> dict[str, object]:
        """What the form that is sent to `path` sends, with these fields filled in.

        It is read from the `page` that has it, else from `path` itself. A page that does not come
        or has no such form, because this person may not, does not stop them from sending theirs.
        """
        action = path if page else ""
        forms = forms_of(self.get(page or path).text)
        found = next((one for one in forms if one.action == action), None)
        return found.filled(**fields) if found else fields

    def decision(self, code: str, **fields: object) -> dict[str, object]:
        """What the form for a decision sends, with the plan that the page of the request shows."""
        page = f"/requests/{code}/"
        return self.fill_in(f"{page}decide/", page, **fields)

    def _ask(self, method: str, path: str, body: str | None = None) -> Page:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException):
            return Page(NO_ANSWER)
        finally:
            connection.close()
        for line in answer.headers.get_all("Set-Cookie", ()):
            self.cookies.update({name: one.value for name, one in SimpleCookie(line).items()})
        return Page(answer.status, text, answer.headers.get("Location", ""))
