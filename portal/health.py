"""Liveness and readiness, answered before hosts, sessions and redirects are looked at."""

from collections.abc import Callable

from django.db import Error, connection
from django.http import HttpRequest, HttpResponse

type GetResponse = Callable[[HttpRequest], HttpResponse]


class HealthMiddleware:
    """Answers `/healthz/live` (the process runs) and `/healthz/ready` (the database answers).

    It stands first, so that a probe needs neither an allowed host name nor TLS.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a probe, or pass the request on."""
        if request.path == "/healthz/live":
            return HttpResponse("ok\n", content_type="text/plain")
        if request.path == "/healthz/ready":
            return self.ready()
        return self.get_response(request)

    def ready(self) -> HttpResponse:
        """503 when the database does not answer."""
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        except Error:
            return HttpResponse("database unavailable\n", status=503, content_type="text/plain")
        return HttpResponse("ok\n", content_type="text/plain")
