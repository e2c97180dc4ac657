"""The pages behind `/problems/<slug>`: what a problem is and what to do about it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from credits_project.exceptions import DomainError
from credits_project.problems import GENERIC

_REPEAT = (
    "Repeat the request after a pause, with the same Idempotency-Key where it moves"
    " money: it is not carried out twice."
)
_STATE = (
    "Nothing was changed. Read the present state and ask again if that makes sense."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemPage:
    """One kind of problem, explained."""

    code: str
    title: str
    status: int
    causes: tuple[str, ...]
    advice: str = _STATE
    members: Mapping[str, str] = field(default_factory=dict)

    @property
    def phrase(self) -> str:
        """The name of the HTTP status."""
        return HTTPStatus(self.status).phrase

    @property
    def advice_parts(self) -> list[tuple[bool, str]]:
        """The advice in pieces, each with whether it is code."""
        return _parts(self.advice)

    @property
    def cause_parts(self) -> list[list[tuple[bool, str]]]:
        """The causes in pieces, each with whether it is code."""
        return [_parts(cause) for cause in self.causes]


# What the classes cannot say by themselves: what a client does, and what members mean.
_ADVICE = {
    "invalid-request": "Correct what `errors` names: the same again is refused again.",
    "not-authenticated": (
        "Sign in, or get a new access token with the refresh token, and repeat the"
        " request with `Authorization: Bearer <access token>`."
    ),
    "permission-denied": "Ask somebody who may, or have the right given to you.",
    "reauthentication-required": (
        "Sign in again, or POST the password to `/_allauth/app/v1/auth/reauthenticate`,"
        " and repeat the request."
    ),
    "not-found": (
        "Check the address and the id. What belongs to others is not found either."
    ),
    "method-not-allowed": "Use one of the methods that the `Allow` header names.",
    "not-acceptable": "Accept `application/json`.",
    "payload-too-large": "Send less.",
    "unsupported-media-type": "Send UTF-8 JSON with `Content-Type: application/json`.",
    "throttled": "Wait as many seconds as the `Retry-After` header says.",
    "server-error": (
        "It has been logged. Repeat the request later, with the same Idempotency-Key"
        " where it moves money, and give support the `request_id`."
    ),
    "unavailable": _REPEAT,
    "gateway-unavailable": (
        f"{_REPEAT} If it is refused again and again, contact support."
    ),
    "payout-rate-missing": "Ask again once staff have set a payout rate.",
    "request-in-progress": _REPEAT,
    "idempotency-key-reused": (
        "Use a new key for a new request, and the same body for a repeat."
    ),
    "insufficient-credits": "Buy credits, or spend fewer.",
    "wallet-frozen": "Contact support.",
    "already-enrolled": "Nothing is left to do: the course is open to the learner.",
    "course-not-available": "Choose another course.",
    "own-course": "A coach cannot enroll in a course of their own.",
    "own-wallet": "Name somebody else.",
    "payout-method-exists": "Use the one that is there.",
    "price-changed": "Show the new `price`, and enroll again at it if it is agreeable.",
    "withdrawal-limit": "Withdraw no more than `allowed`, or wait until it is more.",
    "not-withdrawable": "Withdraw at most `withdrawable`: only earnings can be.",
    "payout-method-not-usable": "Wait until `usable_from`, or use another method.",
}
_MEMBERS: dict[str, dict[str, str]] = {
    "invalid-request": {
        "errors": (
            "A list of {pointer, code, detail}. The pointer begins with # for a place"
            " in the body (a JSON pointer, RFC 6901), with ? for a query parameter, and"
            " is a header's name for a header."
        )
    },
    "payload-too-large": {"limit": "The largest body, in bytes."},
    "unavailable": {
        "outcome": (
            "Only where the database was lost on the way: not-done says that nothing"
            " was changed, unknown that nobody can tell."
        )
    },
    "throttled": {"retry_after": "Seconds until the next request is taken."},
    "insufficient-credits": {
        "available": "Credits that can be spent now.",
        "required": "Credits that the request needs.",
    },
    "own-wallet": {"errors": "Which part of the body names the same user."},
    "payout-method-exists": {"errors": "Which part of the body is not new."},
    "price-changed": {"price": "The price now, in credits."},
    "withdrawal-limit": {
        "limit": (
            "Which limit it is: minimum, maximum, daily or weekly of the coach,"
            " daily_count, or system_daily or system_weekly of all together."
        ),
        "allowed": "How many credits can be withdrawn now.",
    },
    "not-withdrawable": {
        "withdrawable": "Credits that can be withdrawn now.",
        "required": "Credits that the request needs.",
    },
    "payout-method-not-usable": {"usable_from": "When the method becomes usable."},
    "invalid-transition": {
        "current": "The state it is in.",
        "wanted": "The state that the request asks for.",
    },
}
_CAUSES = {
    "not-authenticated": (
        "No access token was sent, or one that is wrong, expired, or of a session that"
        " has ended or a user who was deactivated."
    ),
    "method-not-allowed": "The address exists and has other methods.",
    "not-acceptable": "The `Accept` header asks for a form that does not exist.",
    "unsupported-media-type": "The body's `Content-Type` or encoding is not taken.",
    "throttled": "More requests came from this client than are taken in the time.",
    "server-error": "A mistake of the program stopped the request.",
    "unavailable": (
        "The database did not answer in time, or the service is not fully set up."
    ),
}


def pages() -> dict[str, ProblemPage]:
    """Return every page by its slug, in the order of status and slug."""
    kinds = {code: (generic.title, generic.status) for code, generic in GENERIC.items()}
    causes: dict[str, list[str]] = {
        code: [_CAUSES[code]] if code in _CAUSES else [] for code in kinds
    }
    for refusal in _refusals(DomainError):
        kinds.setdefault(refusal.code, (refusal.title, refusal.status))
        sentence = _first_paragraph(refusal)
        if sentence not in causes.setdefault(refusal.code, []):
            causes[refusal.code].append(sentence)
    ordered = sorted(kinds.items(), key=lambda item: (item[1][1], item[0]))
    return {
        code: ProblemPage(
            code=code,
            title=title,
            status=status,
            causes=tuple(causes[code]),
            advice=_ADVICE.get(code, _STATE),
            members=_MEMBERS.get(code, {}),
        )
        for code, (title, status) in ordered
    }


def _refusals(root: type[DomainError]) -> Iterator[type[DomainError]]:
    for refusal in root.__subclasses__():
        # A class without a slug is a common base of others.
        if getattr(refusal, "code", None) and getattr(refusal, "title", None):
            yield refusal
        yield from _refusals(refusal)


def _first_paragraph(refusal: type[DomainError]) -> str:
    text = inspect.getdoc(refusal) or refusal.title
    return " ".join(text.split("\n\n")[0].split())


def _parts(text: str) -> list[tuple[bool, str]]:
    return [(index % 2 == 1, part) for index, part in enumerate(text.split("`"))]
