"""Where the gateway delivers its events: size, signature, store, 200.

The work is a worker's, so that the answer does not wait for it. Plain Django, as the
signature is over the raw bytes. Nothing here believes an event: the gateway is asked.
"""

from __future__ import annotations

import logging
from typing import Final

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from credits_project.problems import problem_response
from payments import gateway, services

logger = logging.getLogger(__name__)

# The largest documented event has 2 KB.
BODY_LENGTH_MAX: Final = 64 * 1024
SIGNATURE_HEADER: Final = "Signature"
_KEPT_HEADERS: Final = ("Content-Type", "User-Agent", "X-Request-ID")
_KEPT_LENGTH_MAX: Final = 200


@csrf_exempt
def paychangu_webhook(request: HttpRequest) -> HttpResponse:
    """Take one event in."""
    if request.method != "POST":
        response = _refuse(request, "method-not-allowed")
        response["Allow"] = "POST"
        return response
    if request.content_type != "application/json":
        return _refuse(request, "unsupported-media-type")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        return _refuse(request, "unsupported-media-type")
    if not settings.PAYCHANGU_WEBHOOK_SECRET:
        # Asking for a repeat, as it is ours to mend.
        return _refuse(
            request, "unavailable", detail="No webhook secret is configured."
        )
    body = _read(request)
    if body is None:
        return _refuse(request, "payload-too-large", limit=BODY_LENGTH_MAX)
    return _take(request, body)


def _take(request: HttpRequest, body: bytes) -> HttpResponse:
    signed_by = _signed_by(request, body)
    if signed_by is None:
        response = _refuse(
            request, "not-authenticated", detail="The signature is wrong."
        )
        response["WWW-Authenticate"] = SIGNATURE_HEADER
        return response
    try:
        gateway.parse_event(body)
    except gateway.UnreadableEvent as error:
        # Signed, and still nothing that could be kept and shown.
        problem = {"pointer": "#", "code": "parse_error", "detail": str(error)}
        return _refuse(request, "invalid-request", errors=[problem])
    try:
        services.receive_event(body=body, headers=_kept(request), signed_by=signed_by)
    except (OperationalError, InterfaceError):
        # Anything but 200 has the gateway deliver it again.
        response = _refuse(request, "unavailable", detail="Please deliver it again.")
        response["Retry-After"] = "60"
        return response
    return JsonResponse({"received": True})


def _read(request: HttpRequest) -> bytes | None:
    """Return the body; none if it is too large, without reading all of it."""
    declared = request.META.get("CONTENT_LENGTH") or "0"
    if not declared.isdecimal() or int(declared) > BODY_LENGTH_MAX:
        return None
    body = bytes(request.read(BODY_LENGTH_MAX + 1))
    return body if len(body) <= BODY_LENGTH_MAX else None


def _signed_by(request: HttpRequest, body: bytes) -> str | None:
    """Return which key signed the body; none where none of ours did.

    Which one the gateway uses is disputed, and during a rotation there are two.
    """
    names = ("webhook", "previous", "api")
    secrets = (
        settings.PAYCHANGU_WEBHOOK_SECRET,
        settings.PAYCHANGU_WEBHOOK_SECRET_PREVIOUS,
        settings.PAYCHANGU_SECRET_KEY,
    )
    # A second header of the name arrives joined to the first, and is no signature.
    header = request.headers.get(SIGNATURE_HEADER)
    index = gateway.matching_secret(body, header, secrets)
    return None if index is None else names[index]


def _kept(request: HttpRequest) -> dict[str, str]:
    # NUL is the one character that the table cannot hold.
    return {
        name: request.headers[name][:_KEPT_LENGTH_MAX].replace("\x00", "")
        for name in _KEPT_HEADERS
        if name in request.headers
    }


def _refuse(
    request: HttpRequest, code: str, *, detail: str = "", **facts: object
) -> HttpResponse:
    services.count_refused(code)
    logger.warning("refused a delivery of the gateway: %s", code)
    return problem_response(request, code, detail=detail, **facts)
