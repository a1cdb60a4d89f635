"""What all pages share: who asks, what they may see, where a page is cut."""

from collections.abc import Callable, Mapping
from typing import Concatenate

from django.core.exceptions import BadRequest, PermissionDenied
from django.forms import Form
from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404

from accounts.models import User
from provisioning.authz import Answer
from provisioning.models import AccessRequest, Grant
from provisioning.reading import keyset
from provisioning.reading.keyset import Order

PAGE = 50
STOP_POLLING = 286
"""htmx stops asking when it gets this status."""


def person_of(request: HttpRequest) -> User:
    """Who is signed in; LoginRequiredMiddleware has let nobody else through."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def posted(request: HttpRequest) -> QueryDict | None:
    """What a form is bound to. An empty post is a post too: its missing fields are errors."""
    return request.POST if request.method == "POST" else None


def load(request: HttpRequest, code: str) -> AccessRequest:
    """A request that this person may see; to anybody else it does not exist."""
    visible = AccessRequest.objects.visible_to(person_of(request)).with_parties()
    asked = get_object_or_404(visible, code=code)
    _note_whose(request, asked)
    return asked


def load_grant(request: HttpRequest, code: str) -> Grant:
    visible = Grant.objects.visible_to(person_of(request)).with_parties()
    grant = get_object_or_404(visible, code=code)
    _note_whose(request, grant.request)
    return grant


def _note_whose(request: HttpRequest, asked: AccessRequest) -> None:
    """Which entry of the navigation a page about a request belongs to depends on whose it is."""
    own = asked.requester_id == person_of(request).pk
    request.is_of_own_request = own  # type: ignore[attr-defined]  # For portal.context.


def known_keys(
    request: HttpRequest, form: type[Form] = Form, *more: str, paged: bool = True
) -> None:
    """Raise BadRequest where the address of a list says what the list does not know: a filter that
    is silently left out would show more than was asked for."""
    pages = (keyset.AFTER, keyset.BEFORE) if paged else ()
    unknown = set(request.GET) - {*form.base_fields, *pages, *more}
    if unknown:
        raise BadRequest(f"A list knows no {sorted(unknown)}.")


def chosen_order(request: HttpRequest, orders: Mapping[str, Order]) -> tuple[str, Order]:
    """The order that an address names, the first one by default."""
    name = request.GET.get("sort") or next(iter(orders))
    if name not in orders:
        raise BadRequest("A list knows no such order.")
    return name, orders[name]


def headings(orders: Mapping[str, Order], chosen: str) -> dict[str, dict[str, str]]:
    """For each column that a list is sorted by: how it is now, and the order that its link asks
    for, which is the other way round where it is chosen."""
    columns = {}
    for column in dict.fromkeys(name.removeprefix("-") for name in orders):
        usual = next(name for name in orders if name.removeprefix("-") == column)
        other = column if usual != column else f"-{column}"
        is_chosen = chosen in {usual, other}
        columns[column] = {
            "sort": other if chosen == usual else usual,
            "aria": ("descending" if chosen.startswith("-") else "ascending") if is_chosen else "",
        }
    return columns


def only_if(answer: Answer) -> None:
    """Go on only for whom `authz` lets; anybody else is told why (403)."""
    if not answer.allowed:
        raise PermissionDenied(" ".join(answer.reasons))


def for_overseers[**P, Shown: HttpResponseBase](
    view: Callable[Concatenate[HttpRequest, P], Shown],
) -> Callable[Concatenate[HttpRequest, P], Shown]:
    """Only admins and auditors; everybody else is told so (403)."""

    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> Shown:
        if not person_of(request).sees_everything:
            raise PermissionDenied("This page is for admins and auditors.")
        return view(request, *args, **kwargs)

    return guarded
