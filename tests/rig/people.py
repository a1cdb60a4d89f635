"""What people do in a run: over HTTP, with the forms that pages have, as often as they click.

Nobody here knows whether they may. What is accepted is remembered; what must not be is asserted.
"""

import re
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Any, Final
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.models import Group
from django.db.models import Max
from django.test import Client

from accounts.models import User
from audit.clock import database_now
from provisioning.models import AccessRequest, BreakGlass, Decision, Grant, Stop
from sandbox import people as sandbox
from tests.rig.product import Product
from tests.rig.rules import APPROVERS, LONGEST_EMERGENCY, Rules
from tests.rig.web import NO_ANSWER, Browser, Page

MINUTE: Final = timedelta(minutes=1)
ANSWERS: Final = {NO_ANSWER, 200, 302, 403, 404, 409, 422, 503}
"""What a page may answer while things go wrong around it; 500 is a bug."""
REASON: Final = "Look at the findings."
WITH_A_BUTTON: Final = {one.username for one in sandbox.PEOPLE}
"""Whom the sandbox signs in by one click."""


@dataclass(frozen=True)
class Click:
    """A form that somebody sends, and what is remembered when it is taken."""

    who: str
    path: str
    form: dict[str, object]
    taken: Callable[[Page], object] = lambda page: None


@dataclass
class People:
    """Those of one run, their browsers, and what they were told."""

    product: Product
    shape: int = 0
    """Which stages the stricter offer has (tests/rig/rules.py)."""
    diary: list[str] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    """Codes of requests, and of accesses that somebody gave back or revoked."""
    taken: set[str] = field(default_factory=set)
    """Codes of what was taken in an emergency."""
    approved: set[tuple[str, str]] = field(default_factory=set)
    """Who approved, and the code."""
    browsers: dict[str, Browser] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.rig = self.product.rig
        self.first_request = (AccessRequest.objects.aggregate(Max("pk"))["pk__max"] or 0) + 1
        self.first_stop = (Stop.objects.aggregate(Max("pk"))["pk__max"] or 0) + 1
        self.offers = {
            "plain": self.rig.cast.offer,
            "strict": self.product.strict,
            "ruled": self.product.ruled,
        }
        self.rules = Rules(self.product.strict, self.shape)

    def tell(self, what: str) -> None:
        """Write down what happened."""
        line = f"  {time.monotonic() - self.began:6.2f} s  {what}"
        self.diary.append(line)
        print(line, file=sys.stderr, flush=True)  # noqa: T201  # The lane's log.

    # --- Whom and what there is --------------------------------------------------------------

    def browser(self, username: str) -> Browser:
        """Of somebody who is signed in, if that went well."""
        browser = self.browsers.get(username)
        if browser is None:
            browser = signed_in(self.product, username)
            if settings.SESSION_COOKIE_NAME in browser.cookies:
                self.browsers[username] = browser
        return browser

    def _pending(self, nth: int) -> AccessRequest | None:
        found = list(self._waiting())
        return found[nth % len(found)] if found else None

    def _waiting(self) -> Sequence[AccessRequest]:
        rows = AccessRequest.objects.with_parties().waiting().filter(pk__gte=self.first_request)
        return list(rows.order_by("pk"))

    def grants(self) -> list[Grant]:
        """Of this run, the oldest first."""
        rows = Grant.objects.with_parties().filter(request__pk__gte=self.first_request)
        return list(rows.order_by("pk"))

    def _live(self, nth: int) -> Grant | None:
        found = [one for one in self.grants() if not one.is_over]
        return found[nth % len(found)] if found else None

    # --- Asking ------------------------------------------------------------------------------

    def sign_in(self, username: str) -> str:
        """With a new session."""
        self.browsers.pop(username, None)
        return f"{len(self.browser(username).cookies)} cookies"

    def ask(self, username: str, minutes: int, later: int, times: int, offer: str = "plain") -> str:
        """For access, at once or some minutes later."""
        start = database_now() + later * MINUTE
        form = self.browser(username).fill_in(
            path := f"/offers/{self.offers[offer].pk}/request/",
            duration=f"{minutes} min",
            reason=REASON,
            starts_at=f"{start:%Y-%m-%dT%H:%M:%S}" if later else "",
        )
        return self._taken(self._post(username, times, path, **form), self.asked)

    def ask_together(self, username: str, minutes: int, later: int, *offers: str) -> str:
        """For several offers in one go: for all of them, or none."""
        keys = [self.offers[one].pk for one in offers]
        start = database_now() + later * MINUTE
        path = f"/offers/request/?{urlencode({'offer': keys}, doseq=True)}"
        durations = {f"duration_{one}": f"{minutes} min" for one in keys}
        wish = {"starts_at": f"{start:%Y-%m-%dT%H:%M:%S}"} if later else {}
        form = self.browser(username).fill_in(path, reason=REASON, **durations, **wish)
        before = AccessRequest.objects.aggregate(Max("pk"))["pk__max"] or 0
        page = self._post(username, 1, path, **form)[0]
        made = list(AccessRequest.objects.filter(pk__gt=before, requester__username=username))
        assert len(made) in {0, len(keys)}, f"{page.status}, and {made} of {offers}"
        if page.accepted and not page.location.startswith("/sign-in/"):
            assert made, f"{username} was told that all is with the approvers."
            self.asked |= {one.code for one in made}
        return f"{page.status} {made}"

    def extend(self, nth: int, times: int, minutes: int) -> str:
        """Ask for more time on one's own access."""
        grant = self._live(nth)
        if grant is None:
            return "nothing lives"
        path = f"/requests/{grant.code}/extend/"
        person = grant.requester.username
        form = self.browser(person).fill_in(path, minutes=minutes, reason=REASON)
        return self._taken(self._post(person, times, path, **form), self.asked)

    def withdraw(self, nth: int, times: int) -> str:
        """Of one's own requests."""
        request = self._pending(nth)
        if request is None:
            return "nobody waits"
        path = f"/requests/{request.code}/cancel/"
        pages = self._post(request.requester.username, times, path)
        return self._taken(pages, set(), request.code)

    # --- Deciding ----------------------------------------------------------------------------

    def approve(self, nth: int, times: int, who: str = "bob") -> str:
        """Whether they may or not: an approver, one of another stage, or who asked."""
        request = self._pending(nth)
        return self._decide("approved", request, times, who) if request else "nobody waits"

    def pass_around(self, nth: int, *order: str) -> str:
        """One after the other approves, as far as they are asked."""
        request = self._pending(nth)
        if request is None:
            return "nobody waits"
        return "; ".join(self._decide("approved", request, 1, who) for who in order)

    def reject(self, nth: int, times: int) -> str:
        """As bob does."""
        request = self._pending(nth)
        return self._decide("rejected", request, times, "bob") if request else "nobody waits"

    def _decide(self, verdict: str, request: AccessRequest, times: int, who: str) -> str:
        form = self._decision(request.code, who, verdict)
        pages = self._post(who, times, f"/requests/{request.code}/decide/", **form)
        accepted: set[str] = set()
        said = self._taken(pages, accepted, request.code)
        if verdict == "approved":
            self.approved |= {(who, code) for code in accepted}
        return f"{who} {request.code}: {said}"

    def _decision(self, code: str, who: str, verdict: str) -> dict[str, object]:
        """The form as somebody's page has it. Whose page has none, because they are not asked or
        because they asked themselves, sends what another one's page says."""
        form = self.browser(who).decision(code, verdict=verdict, reason="So be it.")
        if "fingerprint" not in form:
            others = (self.browser(one).decision(code, verdict=verdict) for one in APPROVERS)
            form |= next((one for one in others if "fingerprint" in one), {})
        return form

    def decide_together(self, who: str, verdict: str) -> str:
        """On all that waits at once: on each of them, or on none."""
        codes = [one.code for one in self._waiting()]
        if not codes:
            return "nobody waits"
        path = "/approvals/together/"
        page = self.browser(who).get(f"{path}?{urlencode({'pick': codes}, doseq=True)}")
        picks = re.findall(r'value="([a-z0-9]+:[0-9a-f]{64})"', page.text)
        said = Decision.objects.filter(request__code__in=codes, approver__username=who)
        before = said.count()
        page = self._post(who, 1, path, picks=picks, verdict=verdict, reason="So be it.")[0]
        new = said.count() - before
        assert new in {0, len(codes)}, f"{page.status}, and {new} of {codes}"
        if page.accepted and page.location == "/approvals/":
            assert new, f"{who} was told that all of {codes} are decided."
            if verdict == "approved":
                self.approved |= {(who, code) for code in codes}
        return f"{page.status} {codes}"

    def change_terms(self, nth: int, who: str, minutes: int, later: int) -> str:
        """An approver puts a shorter time in place of what was asked for, or a later start."""
        request = self._pending(nth)
        if request is None:
            return "nobody waits"
        page = self._change_terms(request, who, minutes, later)
        return f"{request.code}: {page.status}"

    def _change_terms(self, request: AccessRequest, who: str, minutes: int, later: int) -> Page:
        path, page = f"/requests/{request.code}/terms/", f"/requests/{request.code}/"
        start = database_now() + later * MINUTE
        wish = {"starts_at": f"{start:%Y-%m-%dT%H:%M}"} if later else {}
        form = self.browser(who).fill_in(path, page, minutes=minutes, why="Enough.", **wish)
        return self._post(who, 1, path, **form)[0]

    def decide_on_former_terms(self, nth: int, who: str, other: str, minutes: int) -> str:
        """Somebody reads a plan, another one changes its terms, and the first one approves what
        they have read."""
        request = self._pending(nth)
        if request is None:
            return "nobody waits"
        form = self._decision(request.code, who, "approved")
        changed = self._change_terms(request, other, minutes, 0)
        page = self._post(who, 1, f"/requests/{request.code}/decide/", **form)[0]
        if page.accepted:
            assert not changed.accepted, f"{who} approved other terms of {request.code} than read."
            self.approved.add((who, request.code))
        return f"{request.code}: {changed.status}, {page.status}"

    def look_again(self, nth: int, times: int) -> str:
        """At both accounts, before a decision."""
        request = self._pending(nth)
        if request is None:
            return "nobody waits"
        self._post("bob", times, f"/requests/{request.code}/look-again/")
        return request.code

    # --- Emergencies -------------------------------------------------------------------------

    def break_glass(self, who: str, minutes: int, times: int) -> str:
        """Take access at once: who may, and who may not."""
        click = self.emergency(who, minutes)
        pages = self._post(who, times, click.path, **click.form)
        said = self._taken(pages, self.taken)
        too_long = minutes * MINUTE > LONGEST_EMERGENCY
        assert not (too_long and any(one.accepted for one in pages)), f"{who} took {minutes} min."
        return said

    def emergency(self, who: str, minutes: int) -> Click:
        """What somebody sends to take access."""
        path = f"/offers/{self.product.strict.pk}/break-glass/"
        reason = "Production is down."
        form = self.browser(who).fill_in(path, minutes=minutes, reason=reason)
        return Click(who, path, form, lambda page: self.taken.add(code_of(page)))

    def review(self, nth: int, who: str, finding: str, times: int) -> str:
        """Say something about an emergency: one's own, that of another, before its end or after."""
        rows = BreakGlass.objects.filter(request__pk__gte=self.first_request)
        found = list(rows.select_related("request").order_by("pk"))
        if not found:
            return "nothing was taken"
        pages = self.review_of(found[nth % len(found)], who, finding, times)
        return ", ".join(str(page.status) for page in pages)

    def review_of(self, taken: BreakGlass, who: str, finding: str, times: int) -> list[Page]:
        """A review of this one."""
        page = f"/requests/{taken.request.code}/"
        path = f"{page}review/"
        form = self.browser(who).fill_in(path, page, finding=finding, note="Looked at it.")
        return self._post(who, times, path, **form)

    # --- Ending ------------------------------------------------------------------------------

    def give_back(self, nth: int, times: int) -> str:
        """One's own access."""
        return self._end(nth, times)

    def revoke(self, nth: int, times: int) -> str:
        """Somebody's access, as an admin."""
        return self._end(nth, times, "dana")

    def _end(self, nth: int, times: int, username: str = "") -> str:
        grant = self._live(nth)
        if grant is None:
            return "nothing lives"
        return self.end(grant, username or grant.requester.username, times)

    def end(self, grant: Grant, username: str, times: int = 1) -> str:
        """This access, by this person."""
        path = f"/requests/{grant.code}/revoke/"
        form = self.browser(username).fill_in(path, reason="Enough.")
        return self._taken(self._post(username, times, path, **form), self.ended, grant.code)

    def repair(self, nth: int, times: int) -> str:
        """Have given back what strangers took away."""
        grant = self._live(nth)
        if grant is None:
            return "nothing lives"
        path = f"/requests/{grant.code}/repair/"
        form = self.browser("dana").fill_in(path, reason="Needed.")
        pages = self._post("dana", times, path, **form)
        return ", ".join(str(page.status) for page in pages)

    # --- Admins ------------------------------------------------------------------------------

    def change_group(self, name: str, who: str) -> str:
        """Somebody leaves a group, or joins it: they lose a right, or get one."""
        group = Group.objects.get(name=name)
        names = set(group.user_set.values_list("username", flat=True)) ^ {who}
        members = list(User.objects.filter(username__in=names).values_list("pk", flat=True))
        began = database_now()
        path = f"/registry/groups/{group.pk}/"
        page = self._post("dana", 1, path, name=name, members=members)[0]
        self.rules.note(began)
        return f"{page.status}: {', '.join(sorted(names))}"

    def press(self, scope: str, pauses: bool, amid: bool, after: int) -> str:
        """The red button, perhaps while everybody decides and takes: when so many are answered."""
        clicks = self._busy_people() if amid else []
        pages = self.at_once(clicks, self.red_button(scope, pauses=pauses), after=after)
        return ", ".join(str(page.status) for page in pages)

    def red_button(self, scope: str, *, pauses: bool) -> Click:
        """What an admin sends to end everything, or all of an account, a pair, or a person."""
        pair = self.rig.cast.pair
        person = User.objects.filter(username=scope).first()
        address, name = {
            "everything": ("everything", "everything"),
            "account": (f"account/{pair.target.account_id}", pair.target.account_id),
            "pair": (f"pair/{pair.pk}", f"{pair.source.name} to {pair.target.name}"),
            scope: (f"person/{person.pk}" if person else scope, scope),
        }[scope]
        path = f"/red-button/{address}/"
        form = self.browser("dana").fill_in(path, confirmation=name, reason="Keys are stolen.")
        form.pop("pause", None)
        return Click("dana", path, form | ({"pause": "on"} if pauses else {}))

    def _busy_people(self) -> list[Click]:
        """Everybody who could give or take something now."""
        every = [self.verdict(who, one.code) for one in self._waiting() for who in APPROVERS]
        return [self.emergency("erin", 20), *(one for one in every if "fingerprint" in one.form)]

    def verdict(self, who: str, code: str) -> Click:
        """What an approver sends."""
        form = self.browser(who).decision(code, verdict="approved", reason="So be it.")
        path = f"/requests/{code}/decide/"
        return Click(who, path, form, lambda page: self.approved.add((who, code_of(page))))

    def at_once(self, clicks: Sequence[Click], last: Click, *, after: int) -> list[Page]:
        """Send all of this in the same moment, and the last one when so many are answered."""
        every = [*clicks, last]
        ready = [partial(self.browser(one.who).post, one.path, **one.form) for one in every]
        with ThreadPoolExecutor(len(ready)) as threads:
            sent = [threads.submit(one) for one in ready[:-1]]
            for _ in islice(as_completed(sent), after):
                pass
            pages = [one.result() for one in [*sent, threads.submit(ready[-1])]]
        for click, page in zip(every, pages, strict=True):
            self._check(click.who, click.path, [page])
            if page.accepted and not page.location.startswith("/sign-in/"):
                click.taken(page)
        return pages

    def lift(self) -> str:
        """Every pause."""
        pauses = Stop.objects.pausing().filter(pk__gte=self.first_stop)
        paths = [f"/red-button/pressed/{one.pk}/lift/" for one in pauses]
        pages = [page for path in paths for page in self._post("dana", 1, path)]
        return ", ".join(str(page.status) for page in pages)

    # --- Sending forms -----------------------------------------------------------------------

    def _post(self, username: str, times: int, path: str, **fields: Any) -> list[Page]:
        pages = self.browser(username).post_at_once(times, path, **fields)
        self._check(username, path, pages)
        return pages

    def _check(self, username: str, path: str, pages: Sequence[Page]) -> None:
        for page in pages:
            assert page.status in ANSWERS, (path, page.status, page.text)
        if any(page.location.startswith("/sign-in/") for page in pages):
            self.browsers.pop(username, None)

    def _taken(self, pages: list[Page], codes: set[str], code: str = "") -> str:
        """Remember what was accepted: at most one of several clicks."""
        accepted = [page for page in pages if page.accepted and "/requests/" in page.location]
        assert len(accepted) <= 1, f"Of {len(pages)} clicks {len(accepted)} were accepted."
        for page in accepted:
            codes.add(code or code_of(page))
        return ", ".join(f"{page.status} {page.location}".strip() for page in pages)


def code_of(page: Page) -> str:
    """Of the request to whose page somebody is sent on."""
    return page.location.rstrip("/").rpartition("/")[2]


def signed_in(product: Product, username: str) -> Browser:
    """Somebody's browser. For whom the sandbox has no button, with a session that was made in the
    database."""
    browser = product.browser(username)
    if username in WITH_A_BUTTON:
        browser.sign_in()
        return browser
    client = Client()
    client.force_login(User.objects.get(username=username))
    browser.get("/sign-in/")
    browser.cookies |= {name: one.value for name, one in client.cookies.items()}
    return browser
