"""The lists at different lengths of history, and beside a bare page of the same rows."""

import http.client
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Final

from bench.databases import database, registry
from bench.figures import Figure, Line, Pairs, in_turn, ratio
from bench.history import Visit
from bench.measures import Size
from bench.server import Control
from bench.world import NotAsWanted
from sandbox.processes import Child, Supervisor, free_port, http_answers
from sandbox.servers import BASE_DIR

MOST_GROWTH, MOST_OVER_BARE = 1.1, 1.6
CONNECTIONS: Final = 4
"""Pages asked for at once where requests a second are counted."""
WARM_UP: Final = 10

ACCESS, APPROVALS = "My access", "Approvals"
FIRST = "Active grants, first page"
PAGES: Final[dict[str, tuple[str, Callable[[Visit], str]]]] = {
    ACCESS: ("holder", lambda _: "/access/"),
    "My access, history": ("holder", lambda _: "/access/history/"),
    APPROVALS: ("approver", lambda _: "/approvals/"),
    "Approvals, decided": ("approver", lambda _: "/approvals/decided/"),
    FIRST: ("admin", lambda _: "/grants/"),
    "Active grants, of one account": ("admin", lambda at: f"/grants/?account={at.account}"),
    "Active grants, by a text": ("admin", lambda _: "/grants/?q=source%204"),
    "Active grants, by their ends": ("admin", lambda _: "/grants/?sort=ends"),
    "Active grants, in the middle": ("admin", lambda at: f"/grants/?after={at.middle_live}"),
    "ended grants, in the middle": (
        "admin",
        lambda at: f"/grants/?show=ended&after={at.middle_over}",
    ),
    "Audit, in the middle": ("admin", lambda at: f"/audit/?after={at.middle_event}"),
}
"""Each list by what a person calls it: who looks at it, and its address."""


def lists(aws: Control, size: Size) -> list[Line]:
    """How the pages grow with the history, and what they cost over a bare one."""
    del aws
    with TemporaryDirectory(prefix="sallyport-bench-") as folder, ExitStack() as stack:
        stack.enter_context(registry())
        short, *longer = (
            stack.enter_context(_site(rows, Path(folder))) for rows in sorted(size.histories)
        )
        lines: list[Line] = [
            _beside(short, "named", size, MOST_OVER_BARE),
            _beside(short, "alone", size, None),
        ]
        for site in longer:
            lines += [_growth(name, short, site, size) for name in PAGES]
        lines += [_throughput(site, size) for site in (short, *longer)]
    return lines


# --- Web processes, each on a database of its own --------------------------------------------


@dataclass
class Site:
    """A web process over a history of so many grants."""

    rows: int
    port: int
    visit: Visit

    @property
    def words(self) -> str:
        """The length of its history."""
        return f"{self.rows:,} grants"

    def browser(self, who: str) -> "Browser":
        """A connection that stays open, as somebody signed in."""
        return Browser(self.port, getattr(self.visit, who))


@dataclass
class Browser:
    """Asks for pages, one after the other."""

    port: int
    cookie: str

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def get(self, path: str) -> bytes:
        """A page. Raises NotAsWanted unless it is one."""
        try:
            answer = self._asked(path)
        except (http.client.RemoteDisconnected, ConnectionResetError):
            # After a pause the web has hung up; the next request opens another connection.
            self.connection.close()
            answer = self._asked(path)
        text = answer.read()
        if answer.status != 200:
            raise NotAsWanted(f"{path} answered {answer.status}.")
        return text

    def _asked(self, path: str) -> http.client.HTTPResponse:
        self.connection.request("GET", path, headers={"Cookie": f"sallyport={self.cookie}"})
        return self.connection.getresponse()

    def close(self) -> None:
        """Hang up."""
        self.connection.close()


@contextmanager
def _site(rows: int, folder: Path) -> Iterator[Site]:
    """A web process as in production, with one thread for each of `CONNECTIONS`."""
    with database(rows) as (env, visit):
        port, supervisor = free_port(), Supervisor()
        options = ["--workers", "1", "--worker-class", "gthread", "--threads", str(CONNECTIONS)]
        flags = ["--bind", f"127.0.0.1:{port}", "--no-control-socket", "--keep-alive", "60"]
        web = Child(
            name=f"web of {rows} grants",
            argv=[sys.executable, "-m", "gunicorn", "portal.wsgi:application", *options, *flags],
            log=folder / f"web{rows}.log",
            env=env | {"DJANGO_SETTINGS_MODULE": "bench.site"},
            cwd=BASE_DIR,
            ready=http_answers(port, "/healthz/ready"),
        )
        try:
            supervisor.start(web)
            supervisor.wait_ready(timeout=60)
            yield Site(rows, port, visit)
        finally:
            supervisor.stop()


# --- Figures ---------------------------------------------------------------------------------


def _growth(name: str, short: Site, long: Site, size: Size) -> Figure:
    """One page over a long history, and the same over a short one."""
    who, address = PAGES[name]
    pairs = _asked(
        (long.browser(who), address(long.visit)), (short.browser(who), address(short.visit)), size
    )
    what = f"{name}: {long.words} over {short.words}"
    return _with_tail(ratio("P8", what, pairs, MOST_GROWTH), pairs)


def _beside(site: Site, bare: str, size: Size, goal: float | None) -> Figure:
    """The list of grants, and a page of the same rows with nothing else on it."""
    pairs = _asked(
        (site.browser("admin"), PAGES[FIRST][1](site.visit)),
        (site.browser("admin"), f"/bare/{bare}/"),
        size,
    )
    words = {"named": "a bare page of the same rows", "alone": "a bare page of one table"}
    return _with_tail(ratio("P9", f"{FIRST} over {words[bare]}, {site.words}", pairs, goal), pairs)


type Asked = tuple[Browser, str]


def _asked(ours: Asked, theirs: Asked, size: Size) -> Pairs:
    turns = [None] * size.looks
    with closing(ours[0]), closing(theirs[0]):
        for browser, path in (ours, theirs):
            for _ in range(min(WARM_UP, size.looks)):
                browser.get(path)
        return in_turn(
            lambda _: ours[0].get(ours[1]), lambda _: theirs[0].get(theirs[1]), turns, turns
        )


def _with_tail(figure: Figure, pairs: Pairs) -> Figure:
    tails = " against ".join(f"{p95(one) * 1000:.1f} ms" for one in (pairs.ours, pairs.theirs))
    return Figure(
        figure.number,
        figure.what,
        figure.value,
        figure.goal,
        repetitions=figure.repetitions,
        beside=f"{figure.beside}; p95 {tails}",
    )


def p95(seconds: Sequence[float]) -> float:
    """What nineteen in twenty did not take longer than."""
    return statistics.quantiles(seconds, n=20)[-1] if len(seconds) > 1 else seconds[0]


def _throughput(site: Site, size: Size) -> Figure:
    """Pages a second where several people ask at once, beside the bare page."""
    rounds = max(1, size.looks // 50)
    asked = {"ours": PAGES[FIRST][1](site.visit), "bare": "/bare/named/"}
    rates: dict[str, list[float]] = {name: [] for name in asked}
    for number in range(rounds):
        for name in asked if number % 2 else reversed(asked):
            rates[name].append(_rate(site, asked[name], size.looks // 2 or 1))
    ours, bare = (statistics.median(rates[name]) for name in asked)
    return Figure(
        "P9",
        f"pages a second of {FIRST}, {CONNECTIONS} at once, over the bare page's, {site.words}",
        ours / bare,
        beside=f"{ours:.0f} against {bare:.0f} a second",
        repetitions=rounds,
    )


def _rate(site: Site, path: str, pages: int) -> float:
    def ask() -> None:
        with closing(site.browser("admin")) as browser:
            for _ in range(pages):
                browser.get(path)

    threads = [Thread(target=ask) for _ in range(CONNECTIONS)]
    began = time.monotonic()
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return CONNECTIONS * pages / (time.monotonic() - began)
