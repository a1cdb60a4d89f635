"""Every address of the site stands in a table that says what it answers to each person."""

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.models import User
from tests.accounts import test_who_sees_what as registry
from tests.conftest import ClientFor
from tests.notices import test_pages as notices
from tests.provisioning.pages import test_who_sees_what as provisioning
from tests.reviews import test_review_pages as reviews

TABLES = {
    "accounts": set(registry.PAGES),
    "notices": set(notices.GET) & set(notices.POST),
    "provisioning": set(provisioning.PAGES),
    "reviews": set(reviews.PAGES),
}
ELSEWHERE = {
    "admin": "tests/accounts/test_admin_site.py",
    "sandbox": "tests/sandbox/test_console.py",
}
"""What is no page of the product, and where it is tested who gets in."""
SITE = {
    # address: nobody, somebody who is signed in
    "": (302, 302),
    "sign-in/": (200, 302),
    "sign-out/": (302, 405),
    "password/": (302, 200),
    "django-admin/login/": (302, 403),
    "django-admin/password_change/": (302, 302),
    "favicon.ico": (302, 302),
}


def _patterns(resolver: URLResolver) -> Iterator[tuple[str, str]]:
    """Namespace and name of each address; of those without a namespace the path."""
    for one in resolver.url_patterns:
        if isinstance(one, URLResolver):
            space = str(one.namespace or "")
            if space:
                yield from ((space, name) for _, name in _named(one))
            else:
                yield from _patterns(one)
        else:
            yield "", str(one.pattern)


def _named(resolver: URLResolver) -> Iterator[tuple[str, str]]:
    for one in resolver.url_patterns:
        if isinstance(one, URLPattern):
            yield str(one.pattern), one.name or ""
        else:
            yield from _named(one)


def test_no_address_is_in_no_table() -> None:
    missing = {
        f"{space}:{name}"
        for space, name in _patterns(get_resolver())
        if space not in ELSEWHERE and name not in (TABLES[space] if space else SITE)
    }
    assert not missing
    assert all((settings.BASE_DIR / path).exists() for path in ELSEWHERE.values())


@pytest.mark.parametrize("path", SITE)
def test_the_addresses_of_the_site_itself(path: str, charlie: User, client_for: ClientFor) -> None:
    answers = [client_for(one).get(f"/{path}").status_code for one in (None, charlie)]
    assert tuple(answers) == SITE[path]
