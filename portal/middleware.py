"""Small request-wide rules."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.utils.cache import add_never_cache_headers
from django_htmx.http import HttpResponseClientRedirect

type GetResponse = Callable[[HttpRequest], HttpResponse]


class HtmxSignInMiddleware:
    """A page that polls after its session ended goes to the sign-in page as a whole.

    Otherwise htmx would follow the redirect and put the sign-in page into the polled part.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Turn a redirect to the sign-in page into one of the whole page."""
        response = self.get_response(request)
        sign_in = resolve_url(settings.LOGIN_URL)
        if request.headers.get("HX-Request") and response.get("Location", "").startswith(sign_in):
            return HttpResponseClientRedirect(response["Location"])
        return response


class NeverStoreMiddleware:
    """Pages show who may enter which account: browsers and proxies must not keep copies."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Mark every answer that does not say otherwise as not to be stored."""
        response = self.get_response(request)
        if not response.has_header("Cache-Control"):
            add_never_cache_headers(response)
        return response
