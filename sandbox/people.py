"""Who can sign in to the sandbox. The seed makes them; `make demo` prints them."""

from dataclasses import dataclass

PASSWORD = "open-the-sallyport"  # noqa: S105  # The sandbox answers to its own machine only.


@dataclass(frozen=True)
class Person:
    """Somebody of the classic walk-through."""

    username: str
    full_name: str
    does: str


PEOPLE = (
    Person("alice", "Alice Ashby", "asks for access (is userA in account A, userB in account B)"),
    Person("bob", "Bob Brandt", "approves"),
    Person("charlie", "Charlie Castro", "is a stranger to the grant (is userC in account A)"),
    Person("dana", "Dana Dahl", "administers accounts, pairs and offers"),
    Person("erin", "Erin Eze", "audits: reads everything, changes nothing"),
    Person("frank", "Frank Fischer", "administers too: the second admin, where one must confirm"),
)
