"""What each operation can refuse, as problems with a schema for each slug."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from credits_project import problem_pages
from credits_project.idempotency import HEADER
from credits_project.problems import CONTENT_TYPE

_AMOUNT = {"type": "string", "pattern": r"^-?[0-9]+\.[0-9]{2}$"}
_ERRORS: dict[str, Any] = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["pointer", "code", "detail"],
        "properties": {
            "pointer": {"type": "string", "examples": ["#/amount"]},
            "code": {"type": "string", "examples": ["invalid"]},
            "detail": {"type": "string", "examples": ["A valid number is required."]},
        },
    },
}
# Facts that are no amounts of credits.
_FACTS: dict[str, dict[str, Any]] = {
    "errors": _ERRORS,
    "retry_after": {"type": "integer", "minimum": 1},
    "usable_from": {"type": "string", "format": "date-time"},
    "outcome": {"enum": ["not-done", "unknown"]},
    "current": {"type": "string", "examples": ["paid"]},
    "wanted": {"type": "string", "examples": ["cancelled"]},
}
_LIMIT: dict[str, dict[str, Any]] = {
    "payload-too-large": {"type": "integer", "minimum": 1},
    "withdrawal-limit": {
        "enum": [
            "minimum",
            "maximum",
            "daily",
            "weekly",
            "daily_count",
            "system_daily",
            "system_weekly",
        ]
    },
}
# Facts that do not stand in every occurrence.
_OPTIONAL = {("unavailable", "outcome"), ("not-found", "errors")}

_RETRY_AFTER: dict[str, Any] = {
    "description": "Seconds after which the request may be repeated.",
    "schema": {"type": "integer", "minimum": 1},
}
_HEADERS: dict[str, dict[str, Any]] = {
    "401": {
        "WWW-Authenticate": {
            "description": "How to sign in (RFC 6750).",
            "required": True,
            "schema": {"type": "string"},
        }
    },
    "429": {"Retry-After": {**_RETRY_AFTER, "required": True}},
    "503": {"Retry-After": _RETRY_AFTER},
}


def schemas() -> dict[str, dict[str, Any]]:
    """Return the schema of each kind of problem by its component's name."""
    pages = problem_pages.pages().values()
    return {component_of(page.code): _schema_of(page) for page in pages}


def component_of(slug: str) -> str:
    """Return the name of the schema of a kind of problem."""
    return "".join(word.capitalize() for word in slug.split("-")) + "Problem"


def refusals_of(
    path: str, method: str, operation: Mapping[str, Any], declared: Iterable[str]
) -> dict[str, list[str]]:
    """Return the slugs that an operation can answer with, by status.

    Beside what it declares itself these are what holds for all alike: who asks, how
    often, in which form.
    """
    names = {parameter["name"] for parameter in operation.get("parameters", [])}
    in_query = any(p["in"] == "query" for p in operation.get("parameters", []))
    slugs = {"not-acceptable", "throttled", "server-error", "unavailable", *declared}
    if operation.get("security", [{}]) != [{}]:
        # Also where nobody has to: a token that was sent has to be good.
        slugs.add("not-authenticated")
    if {} not in operation.get("security", [{}]):
        slugs.add("permission-denied")
    if "requestBody" in operation:
        slugs |= {"invalid-request", "payload-too-large", "unsupported-media-type"}
    if in_query or HEADER in names:
        slugs.add("invalid-request")
    if "{" in path:
        slugs.add("not-found")
    if HEADER in names:
        slugs |= {"idempotency-key-reused", "request-in-progress"}
    return by_status(slugs)


def by_status(slugs: Iterable[str]) -> dict[str, list[str]]:
    """Return the slugs grouped by their status, each in order."""
    pages = problem_pages.pages()
    grouped: dict[str, list[str]] = {}
    for slug in sorted(slugs):
        grouped.setdefault(str(pages[slug].status), []).append(slug)
    return dict(sorted(grouped.items()))


def response_of(status: str, slugs: list[str]) -> dict[str, Any]:
    """Return what an answer with one of the problems looks like."""
    pages = problem_pages.pages()
    references = [{"$ref": f"#/components/schemas/{component_of(s)}"} for s in slugs]
    response: dict[str, Any] = {
        "description": " ".join(f"`{slug}`: {pages[slug].title}" for slug in slugs),
        "content": {
            CONTENT_TYPE: {
                "schema": references[0]
                if len(references) == 1
                else {"oneOf": references}
            }
        },
    }
    if status in _HEADERS:
        response["headers"] = dict(_HEADERS[status])
    return response


def _schema_of(page: problem_pages.ProblemPage) -> dict[str, Any]:
    facts = {
        name: {**_fact(page.code, name), "description": meaning}
        for name, meaning in page.members.items()
    }
    if page.code == "not-found":
        facts["errors"] = {
            **_ERRORS,
            "description": "Which part of the request names what is not there.",
        }
    required = [name for name in facts if (page.code, name) not in _OPTIONAL]
    return {
        "type": "object",
        "description": " ".join(page.causes),
        "required": ["type", "title", "status", "request_id", *required],
        "properties": {
            "type": {
                "const": f"/problems/{page.code}",
                "type": "string",
                "description": "The address of a page that explains it.",
            },
            "title": {"const": page.title, "type": "string"},
            "status": {"const": page.status, "type": "integer"},
            "detail": {
                "type": "string",
                "description": "About this occurrence, for people.",
            },
            "request_id": {
                "type": "string",
                "description": "As in the header `X-Request-ID`; logs bear it.",
            },
            **facts,
        },
    }


def _fact(slug: str, name: str) -> dict[str, Any]:
    if name == "limit":
        return _LIMIT.get(slug, {"type": "string"})
    return _FACTS.get(name, _AMOUNT)
