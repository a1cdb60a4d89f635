"""Small request-wide rules."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.cache import add_never_cache_headers

type GetResponse = Callable[[HttpRequest], HttpResponse]


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
