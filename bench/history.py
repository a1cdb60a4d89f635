"""A registry, and as many grants as wanted: `python -m bench.history registry`, `… grants N LIVE`.

It works on the database that DATABASE_URL names, and prints what a visitor needs (`Visit`). The
registry and the three people who look at the pages are the same whatever ROWS says, so that two
such databases differ in the length of their history and in nothing else. All rows pass the
triggers and constraints of the product: they are copies of rows that its models made.
"""

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from typing import Any, Final

import django

PEOPLE, SOURCES, TARGETS, OFFERS = 300, 5, 40, 200
DECIDED: Final = 20
"""Offers whose requests the approver decides on."""
OWN: Final = 60
"""Grants of the visiting holder: what is theirs does not grow with what is everybody's."""
LIVE_SHARE: Final = 30
"""Of a hundred grants, how many are live: far more than anywhere, so that their list is long."""
WAITING: Final = 40
"""Requests that wait for the approver."""


@dataclass(frozen=True)
class Visit:
    """Who may be signed in, by their cookies, and where the pages in the middle begin."""

    holder: str
    approver: str
    admin: str
    account: str
    """Of one source: a fifth of all grants, so that even the shortest history fills a page."""
    middle_live: str
    middle_over: str
    middle_event: str


def registry() -> None:
    """People, accounts, pairs, profiles, offers, identities, and one grant to copy."""
    from accounts.models import IamIdentity, Offer, User
    from tests.factories import (
        AccessProfileFactory,
        AccountPairFactory,
        AwsAccountFactory,
        GrantFactory,
        IamIdentityFactory,
        OfferFactory,
        UserFactory,
    )

    people = User.objects.bulk_create(
        UserFactory.build(username=f"person{n:03}", first_name="Pat") for n in range(PEOPLE)
    )
    holder, approver = (UserFactory.create(username=name) for name in ("holder", "approver"))
    UserFactory.create(username="admin", role=User.Role.ADMIN)
    sources = [AwsAccountFactory.create(name=f"Source {n}") for n in range(SOURCES)]
    targets = [AwsAccountFactory.create(name=f"Target {n}") for n in range(TARGETS)]
    profiles = AccessProfileFactory.create_batch(OFFERS // TARGETS)
    pairs = [
        AccountPairFactory.create(source=sources[n % SOURCES], target=one)
        for n, one in enumerate(targets)
    ]
    for number in range(OFFERS):
        OfferFactory.create(
            pair=pairs[number % TARGETS],
            profile=profiles[number // TARGETS],
            approver_users=[approver] if number < DECIDED else [],
        )
    IamIdentity.objects.bulk_create(
        IamIdentityFactory.build(person=person, account=account)
        for person in [*people, holder]
        for account in sources
    )
    first = Offer.objects.order_by("pk")[0]
    GrantFactory.create(request__offer=first, request__requester=holder, approver=approver)


# --- Copies ----------------------------------------------------------------------------------

SCENE: Final = """
CREATE TEMP TABLE scene_offer AS
  SELECT row_number() OVER (ORDER BY o.id) - 1 AS n, o.id AS offer_id, p.source_id,
    (SELECT max(v.id) FROM accounts_profileversion v WHERE v.profile_id = o.profile_id)
      AS version_id
  FROM accounts_offer o JOIN accounts_accountpair p ON p.id = o.pair_id;
CREATE TEMP TABLE scene_person AS
  SELECT row_number() OVER (ORDER BY id) - 1 AS n, id AS person_id
  FROM accounts_user WHERE username LIKE 'person%';
CREATE TEMP TABLE scene AS
  SELECT i, p.person_id, offer_id, version_id, d.id AS identity_id, i * 37 % 100 < {live} AS live,
    CASE i / 100 % 20 WHEN 0 THEN 'scheduled' WHEN 1 THEN 'revoked' WHEN 2 THEN 'failing'
      ELSE '' END AS special,
    now() - i * 7919 % 10000 * interval '1 s' AS began,
    now() + interval '2 h' + i * 104729 % 14400 * interval '1 s' AS ends,
    now() - interval '1 day' - ({rows} - i) * interval '7 s' AS past
  FROM generate_series(1::bigint, {rows}) i
  JOIN scene_offer o ON o.n = i * 31 % {offers}
  JOIN scene_person p ON p.n = i * 7919 % {people}
  JOIN accounts_iamidentity d ON d.person_id = p.person_id AND d.account_id = o.source_id
  UNION ALL
  SELECT {rows} + i, d.person_id, offer_id, version_id, d.id, i <= 3, '', now() - interval '1 h',
    now() + interval '3 h', now() - interval '1 day' - i * interval '1 h'
  FROM generate_series(1::bigint, {own}) i
  JOIN scene_offer o ON o.n = i % {offers}
  JOIN accounts_iamidentity d ON d.account_id = o.source_id
  JOIN accounts_user u ON u.id = d.person_id AND u.username = 'holder';
"""
CODE: Final = "translate(lpad(i::text, 12, '0'), '0123456789', 'abcdefghjk')"


def grow(rows: int, live: int) -> None:
    """So many grants with their requests and decisions, and as many events."""
    from django.db import connection

    from audit.models import AuditEvent, append
    from provisioning.models import AccessRequest, Decision, Grant

    scene = SCENE.format(rows=rows, live=live, offers=OFFERS, people=PEOPLE, own=OWN)
    with connection.cursor() as cursor:
        cursor.execute(scene)
    pinned = {"identity_id": "s.identity_id", "profile_version_id": "s.version_id"}
    asked = {"requester_id": "s.person_id", "offer_id": "s.offer_id", "code": CODE} | pinned
    _copy(AccessRequest, asked | {"asked_at": "CASE WHEN live THEN began ELSE past END"})
    _copy(Decision, {"request_id": "t.request_id + i"})
    _copy(
        Grant,
        pinned
        | {
            "code": CODE,
            "request_id": "t.request_id + i",
            "phase": "CASE WHEN NOT live THEN 'ended' WHEN special = 'scheduled' THEN special "
            "WHEN special = 'failing' THEN 'pending' ELSE 'active' END",
            "starts_at": "CASE WHEN NOT live THEN past WHEN special = 'scheduled' "
            "THEN now() + interval '1 h' ELSE began END",
            "ends_at": "CASE WHEN live THEN ends ELSE past + interval '1 h' END",
            "settled_at": "CASE WHEN live AND special <> '' THEN NULL ELSE began END",
            "revoked_at": "CASE WHEN live AND special = 'revoked' THEN now() END",
            "attempts": "CASE WHEN live AND special = 'failing' THEN 5 ELSE 0 END",
            "last_error": "CASE WHEN live AND special = 'failing' THEN 'AWS said no.' ELSE '' END",
            "ended_at": "CASE WHEN NOT live THEN past + interval '65 min' END",
            "next_check_at": "CASE WHEN live THEN ends END",
        },
    )
    append(kind="grant:phase:active", actor="bench", subject="grant:one", sentence="It is active.")
    _copy(AuditEvent, {"at": "past", "subject": f"'grant:' || {CODE}"})
    waiting = {
        "state": "'pending'",
        "offer_id": f"t.offer_id + i % {DECIDED}",
        "code": CODE.replace("i::text", "(i + 500000000000)::text"),
    }
    _copy(AccessRequest, asked | waiting, only=f"i <= {WAITING}")
    with connection.cursor() as cursor:
        # As autovacuum leaves a table that has been there for some time.
        cursor.execute("VACUUM ANALYZE")


def _copy(model: Any, changed: dict[str, str], only: str = "true") -> None:
    """A copy of the model's first row for each row of the scene, with these columns changed."""
    from django.db import connection

    first = model.objects.order_by("pk")[0].pk
    last = model.objects.order_by("-pk")[0].pk
    columns = {one.column: f"t.{one.column}" for one in model._meta.concrete_fields}
    columns |= changed | {"id": f"{last} + i"}
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(columns.values())} "  # noqa: S608  # All of it is this file's.
            f"FROM {table} t, scene s WHERE t.id = {first} AND ({only}) ORDER BY i"
        )
        cursor.execute(
            f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"  # noqa: S608
        )


# --- Visitors --------------------------------------------------------------------------------


def visit() -> Visit:
    """Sign the three people in, and find the middle of the lists."""
    from accounts.models import AwsAccount
    from audit.models import AuditEvent
    from provisioning.models import Grant
    from provisioning.reading import listing

    live, over = listing.LIVE_ORDERS["-starts"], listing.OVER_ORDERS["-ended"]
    return Visit(
        holder=cookie("holder"),
        approver=cookie("approver"),
        admin=cookie("admin"),
        account=AwsAccount.objects.get(name="Source 3").account_id,
        middle_live=_middle(Grant.objects.live(), live),
        middle_over=_middle(Grant.objects.filter(phase="ended"), over),
        middle_event=_middle(AuditEvent.objects.all(), listing.NEWEST_FIRST),
    )


def cookie(username: str) -> str:
    """The cookie of a session of this person's."""
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore

    from accounts.models import User

    person, session = User.objects.get(username=username), SessionStore()
    session[SESSION_KEY] = str(person.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = person.get_session_auth_hash()
    session.create()
    return str(session.session_key)


def _middle(rows: Any, order: Any) -> str:
    ordered = rows.order_by(*order.columns())
    return str(order.mark(ordered[rows.count() // 2]))


def main() -> None:
    """Make the registry, or grants in a copy of it; then print who may look at them."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("registry")
    grants = commands.add_parser("grants")
    grants.add_argument("rows", type=int)
    grants.add_argument("live", type=int, help="of a hundred")
    asked = parser.parse_args()
    django.setup()
    if asked.command == "registry":
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        registry()
    else:
        grow(asked.rows, asked.live)
        json.dump(asdict(visit()), sys.stdout)


if __name__ == "__main__":
    main()
