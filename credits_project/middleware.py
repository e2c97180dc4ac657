"""What holds for every request, whatever answers it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from functools import cache

import structlog
from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import resolve, reverse
from django.utils.cache import add_never_cache_headers

REQUEST_ID = "X-Request-ID"
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
# Both forms: gateways are told one and some call the other.
WEBHOOKS = frozenset({"/api/v1/webhooks/paychangu", "/api/v1/webhooks/paychangu/"})
_DIRECT = PROBES | WEBHOOKS

# Long enough for every scheme in use, and nothing that could break a line of a log.
_SANE = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")

GetResponse = Callable[[HttpRequest], HttpResponseBase]


class RequestIdMiddleware:
    """Gives each request a name that its answer, problems and log lines bear."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer with the caller's X-Request-ID if it is sane, else with a new one."""
        sent = request.headers.get(REQUEST_ID, "")
        request_id = sent if _SANE.fullmatch(sent) else uuid.uuid4().hex
        request.request_id = request_id  # type: ignore[attr-defined]
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = self.get_response(request)
        response[REQUEST_ID] = request_id
        return response


class ProbeMiddleware:
    """Answers monitoring and gateways before anything looks at host, session or user.

    A load balancer asks each machine by its own address, which is none of ALLOWED_HOSTS
    and has no certificate. A gateway takes a redirect for a failure, and gives up where
    it is kept waiting; what it sends proves itself.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a probe or an event at once; all else goes on."""
        if request.path_info not in _DIRECT:
            return self.get_response(request)
        response: HttpResponseBase = _view_of(request.path_info)(request)
        response["X-Content-Type-Options"] = "nosniff"
        return response


class NoStoreMiddleware:
    """Keeps answers to signed-in clients out of every cache."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer with `Cache-Control: no-store` where the client is somebody."""
        response = self.get_response(request)
        if _is_somebody(request):
            if isinstance(response, HttpResponse):
                add_never_cache_headers(response)
            response["Cache-Control"] = "no-store"
        return response


class StaffMfaMiddleware:
    """Lets staff without a second factor see nothing of the console but its set-up."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Send staff without a second factor from the console to its set-up."""
        if _lacks_second_factor(request):
            return redirect("mfa_index")
        return self.get_response(request)


class ConsoleNulMiddleware:
    """Refuses NUL in the console's addresses.

    PostgreSQL takes none in a text, and Django's lists pass on what they are asked for.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer 400 to an address of the console with a NUL in it."""
        if request.path.startswith(reverse("admin:index")):
            asked = (request.path, *request.GET, *map(str, request.GET.values()))
            if any("\x00" in part for part in asked):
                raise BadRequest("An address holds no NUL.")
        return self.get_response(request)


@cache
def _view_of(path: str) -> Callable[[HttpRequest], HttpResponseBase]:
    """Return the view at one of the few addresses that are answered at once."""
    view: Callable[[HttpRequest], HttpResponseBase] = resolve(path).func
    return view


def _is_somebody(request: HttpRequest) -> bool:
    # The header alone counts as well: an answer to a refused token is nobody else's.
    if "Authorization" in request.headers or "X-Session-Token" in request.headers:
        return True
    if settings.SESSION_COOKIE_NAME in request.COOKIES:
        return True
    user = getattr(request, "user", None)
    return bool(user is not None and user.is_authenticated)


def _lacks_second_factor(request: HttpRequest) -> bool:
    if not request.path.startswith(reverse("admin:index")):
        return False
    if request.path == reverse("admin:logout"):
        return False
    # Django's own models are not there yet where this module is loaded.
    from credits_project.authentication import lacks_second_factor

    return request.user.is_authenticated and lacks_second_factor(request.user)
