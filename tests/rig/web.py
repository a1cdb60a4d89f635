"""Somebody's browser: HTTP against the web process, with the cookies and tokens of a session."""

import http.client
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Final
from urllib.parse import urlencode

PATIENCE: Final = 20.0  # seconds
FINGERPRINT: Final = re.compile(r'name="fingerprint" value="([0-9a-f]{64})"')
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
        return self._ask("POST", path, urlencode(fields | {"csrfmiddlewaretoken": token}))

    def post_at_once(self, times: int, path: str, **fields: object) -> list[Page]:
        """Send a form several times in the same moment: an impatient click."""
        with ThreadPoolExecutor(times) as threads:
            sent = [threads.submit(self.post, path, **fields) for _ in range(times)]
            return [one.result() for one in sent]

    def fingerprint(self, code: str) -> str:
        """Of the plan that the page of a request shows; "" where there is none to decide on."""
        found = FINGERPRINT.search(self.get(f"/requests/{code}/").text)
        return found[1] if found else ""

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
