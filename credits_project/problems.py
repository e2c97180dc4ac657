"""Every refusal as a problem document (RFC 9457). Only this module knows both sides."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.db import InterfaceError, InternalError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.text import slugify
from rest_framework import exceptions
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from credits_project.exceptions import DomainError
from credits_project.parsers import BodyTooLarge, escape_pointer

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"

# SQLSTATEs that Django files under InternalError and that pass by themselves: the
# server is read-only for a while, or the connection was ended for having idled.
_PASSING = {"25006", "25P03", "25P04"}
_DATABASE_ERRORS = (OperationalError, InterfaceError, InternalError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A kind of refusal: the slug of its page, its title and its status."""

    code: str
    title: str
    status: int


GENERIC = {
    problem.code: problem
    for problem in (
        Problem(
            code="invalid-request",
            title="The request does not have the expected form.",
            status=400,
        ),
        Problem(code="not-authenticated", title="You are not signed in.", status=401),
        Problem(code="permission-denied", title="You may not do this.", status=403),
        Problem(
            code="not-found",
            title="There is nothing at this address for you.",
            status=404,
        ),
        Problem(
            code="method-not-allowed",
            title="This address does not take this method.",
            status=405,
        ),
        Problem(
            code="not-acceptable",
            title="The answer does not exist in the form asked for.",
            status=406,
        ),
        Problem(
            code="payload-too-large",
            title="The request's body is too large.",
            status=413,
        ),
        Problem(
            code="unsupported-media-type",
            title="The request's body is not JSON.",
            status=415,
        ),
        Problem(code="throttled", title="Too many requests.", status=429),
        Problem(code="server-error", title="Something went wrong here.", status=500),
        Problem(
            code="unavailable", title="The service is not available now.", status=503
        ),
    )
}
_BY_STATUS = {problem.status: problem for problem in GENERIC.values()}


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> Response | None:
    """Answer `exc` as a problem; None lets Django answer 500 and report it."""
    request = context.get("request")
    headers: dict[str, str] = {}
    match exc:
        case DomainError():
            body = _of_domain_error(exc)
        case Http404():
            body = _generic("not-found")
        case PermissionDenied():
            body = _generic("permission-denied")
        case RequestDataTooBig():
            body = _of_domain_error(BodyTooLarge())
        case SuspiciousOperation():
            body = _generic("invalid-request", detail="The request was refused.")
        case exceptions.ValidationError():
            body = _generic("invalid-request", errors=list(errors_of(exc.detail)))
        case exceptions.APIException():
            body = _of_api_exception(exc)
            headers = _headers_of(exc)
        case _ if isinstance(exc, _DATABASE_ERRORS) and _passes(exc):
            logger.warning("the database did not answer in time: %s", exc)
            body = _generic("unavailable", detail="Please repeat the request shortly.")
            headers = {"Retry-After": "1"}
        case _:
            return None
    if retry_after := body.get("retry_after"):
        headers.setdefault("Retry-After", str(retry_after))
    return Response(
        _with_request_id(body, request),
        status=body["status"],
        headers=headers,
        content_type=CONTENT_TYPE,
    )


def problem_response(
    request: HttpRequest, code: str, *, detail: str = "", **facts: Any
) -> HttpResponse:
    """Answer with a generic problem where no API view is at work."""
    body = _with_request_id(_generic(code, detail=detail, **facts), request)
    return HttpResponse(
        JSONRenderer().render(body), status=body["status"], content_type=CONTENT_TYPE
    )


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what Django itself refuses to read."""
    if isinstance(exception, RequestDataTooBig):
        return _refusal(request, "payload-too-large", "The request is too large.")
    return _refusal(request, "invalid-request", "The request was refused.")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer where the caller may not go."""
    return _refusal(request, "permission-denied", "You may not see this page.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer where there is nothing."""
    return _refusal(request, "not-found", "There is nothing at this address.")


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer after a mistake of ours, which Django has logged by now.

    A database that does not answer is none: outside of the API's own views, as where
    people sign in, it comes here.
    """
    exc = sys.exc_info()[1]
    if isinstance(exc, _DATABASE_ERRORS) and _passes(exc):
        answer = _refusal(request, "unavailable", "Please repeat the request shortly.")
        answer["Retry-After"] = "1"
        return answer
    return _refusal(
        request, "server-error", "It has been logged. Please try again later."
    )


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form that did not come from a page of ours, or from an old one."""
    return _refusal(
        request,
        "permission-denied",
        "The form could not be checked. Please go back, reload the page and try again.",
    )


def _refusal(request: HttpRequest, code: str, detail: str) -> HttpResponse:
    if is_api(request):
        return problem_response(request, code, detail=detail)
    problem = GENERIC[code]
    context = {"title": problem.title, "detail": detail}
    # Without the context processors where the program itself is at fault: they ask the
    # database, which may be what failed.
    processed = None if problem.status >= 500 else request
    page = render_to_string("error.html", context, request=processed)
    return HttpResponse(page, status=problem.status)


def errors_of(detail: Any, pointer: str = "#") -> Iterator[dict[str, str]]:
    """Yield `{pointer, code, detail}` for each error in DRF's tree of errors."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            step = "" if name == "non_field_errors" else f"/{escape_pointer(name)}"
            yield from errors_of(inner, pointer + step)
    elif isinstance(detail, list | tuple):
        for index, inner in enumerate(detail):
            leaf = isinstance(inner, str)
            yield from errors_of(inner, pointer if leaf else f"{pointer}/{index}")
    else:
        code = getattr(detail, "code", None) or "invalid"
        yield {"pointer": pointer, "code": code, "detail": str(detail)}


def _generic(code: str, *, detail: str = "", **facts: Any) -> dict[str, Any]:
    problem = GENERIC[code]
    return _document(problem, detail, facts)


def _document(
    problem: Problem | DomainError, detail: str, facts: Mapping[str, Any]
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": f"/problems/{problem.code}",
        "title": problem.title,
        "status": problem.status,
    }
    if detail:
        body["detail"] = detail
    return {**body, **facts}


def _of_domain_error(error: DomainError) -> dict[str, Any]:
    return _document(error, str(error), error.extra)


def _of_api_exception(exc: exceptions.APIException) -> dict[str, Any]:
    if isinstance(exc, exceptions.ParseError):
        error = {"pointer": "#", "code": "parse_error", "detail": str(exc.detail)}
        return _generic("invalid-request", errors=[error])
    problem = _BY_STATUS.get(exc.status_code)
    if problem is None:
        phrase = HTTPStatus(exc.status_code).phrase
        code = slugify(phrase)
        problem = Problem(code=code, title=f"{phrase}.", status=exc.status_code)
    facts: dict[str, Any] = {}
    if (wait := getattr(exc, "wait", None)) is not None:
        facts["retry_after"] = max(1, math.ceil(wait))
    return _document(problem, _text_of(exc.detail), facts)


def _text_of(detail: Any) -> str:
    if isinstance(detail, str):
        return str(detail)
    return " ".join(error["detail"] for error in errors_of(detail))


def _headers_of(exc: exceptions.APIException) -> dict[str, str]:
    # DRF puts the challenge there before it calls the handler.
    challenge = getattr(exc, "auth_header", None)
    return {"WWW-Authenticate": challenge} if challenge else {}


def _passes(exc: Exception) -> bool:
    state = getattr(exc.__cause__, "sqlstate", None)
    return not isinstance(exc, InternalError) or state in _PASSING


def _with_request_id(body: dict[str, Any], request: Any) -> dict[str, Any]:
    request_id = getattr(request, "request_id", None)
    return {**body, "request_id": request_id} if request_id else body


def is_api(request: HttpRequest) -> bool:
    """Return whether a program is asking, which wants problems and not pages."""
    return request.path.startswith(("/api/", "/_allauth/"))
