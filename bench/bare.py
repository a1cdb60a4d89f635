"""The product's addresses, and the page that a Django developer would write first.

It goes through the same middleware, for somebody signed in: one keyset query over the same table,
rendered by one plain template without base, navigation or links. What the product's page takes
longer is the price of everything else that is on it.
"""

from functools import cache
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import include, path

from provisioning.models import Grant

PAGE: Final = 50
TEMPLATE: Final = """<!DOCTYPE html><html lang="en"><head><title>Grants</title></head><body>
<h1>Grants</h1><table><thead><tr><th>Person</th><th>Source</th><th>Target</th><th>Role</th>
<th>Starts</th><th>Ends</th><th>Phase</th></tr></thead><tbody>{% for grant in grants %}<tr>
<td><a href="/requests/{{ grant.code }}/">{{ grant.request.requester }}</a></td>
<td>{{ grant.request.offer.pair.source }}</td><td>{{ grant.request.offer.pair.target }}</td>
<td>{{ grant.role_name }}</td><td>{{ grant.starts_at|date:"j M, H:i" }}</td>
<td>{{ grant.ends_at|date:"j M, H:i" }}</td><td>{{ grant.phase }}</td>
</tr>{% endfor %}</tbody></table></body></html>"""
ALONE: Final = """<!DOCTYPE html><html lang="en"><head><title>Grants</title></head><body>
<h1>Grants</h1><table><thead><tr><th>Code</th><th>User</th><th>Attempts</th><th>Error</th>
<th>Starts</th><th>Ends</th><th>Phase</th></tr></thead><tbody>{% for grant in grants %}<tr>
<td><a href="/requests/{{ grant.code }}/">{{ grant.code }}</a></td>
<td>{{ grant.iam_user_arn }}</td><td>{{ grant.attempts }}</td><td>{{ grant.last_error }}</td>
<td>{{ grant.starts_at|date:"j M, H:i" }}</td><td>{{ grant.ends_at|date:"j M, H:i" }}</td>
<td>{{ grant.phase }}</td></tr>{% endfor %}</tbody></table></body></html>"""


SHOWN: Final = (
    "request__requester",
    "request__offer__pair__source",
    "request__offer__pair__target",
    "profile_version",
)


def named(request: HttpRequest) -> HttpResponse:
    """The same rows with the same words: person, accounts, role. It joins what it shows and no
    more."""
    grants = Grant.objects.live().select_related(*SHOWN).order_by("-starts_at", "-id")[:PAGE]
    return HttpResponse(_template(TEMPLATE).render({"grants": grants}, request))


def alone(request: HttpRequest) -> HttpResponse:
    """Rows of the grants' table and of no other: what no page of grants can do without."""
    grants = Grant.objects.live().order_by("-starts_at", "-id")[:PAGE]
    return HttpResponse(_template(ALONE).render({"grants": grants}, request))


@cache
def _template(text: str) -> Any:
    return engines["django"].from_string(text)


urlpatterns = [
    path("bare/named/", named),
    path("bare/alone/", alone),
    path("", include("portal.urls")),
]
