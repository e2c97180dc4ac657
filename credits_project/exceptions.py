"""The root of all refusals.

A refusal is what the world may do: too few credits, a wallet that is frozen, a price
that has changed. A bug of ours is an assertion or an ordinary exception, and a 500.
"""

from __future__ import annotations

from typing import Any, ClassVar


class DomainError(Exception):
    """A request that is understood and refused.

    Subclasses fix `code` (the slug of `/problems/<slug>`), `title` (never varies) and
    `status` (HTTP). The message is about this occurrence and is for the user; facts
    that a program may need go into `extra`, as JSON values.
    """

    code: ClassVar[str]
    title: ClassVar[str]
    status: ClassVar[int] = 409

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.extra = extra


class InvalidInput(DomainError):
    """A value that no state of the world would make acceptable."""

    code = "invalid-request"
    title = "The request does not have the expected form."
    status = 400

    def __init__(self, field: str, detail: str, *, reason: str = "invalid") -> None:
        """Refuse `field`; `reason` is the machine-readable code of the error."""
        super().__init__(
            f"{field}: {detail}",
            errors=[{"pointer": f"#/{field}", "code": reason, "detail": detail}],
        )
        self.field = field


class UnknownReference(InvalidInput):
    """The request names something that is not there, or not for the caller."""

    code = "not-found"
    title = "There is nothing at this address for you."
    status = 404

    def __init__(self, field: str, detail: str) -> None:
        """Refuse what `field` names."""
        super().__init__(field, detail, reason="does_not_exist")


class NotFound(DomainError):
    """There is no such thing, or none that the caller may see."""

    code = "not-found"
    title = "There is nothing at this address for you."
    status = 404


class PermissionDenied(DomainError):
    """The caller is known and may not do this."""

    code = "permission-denied"
    title = "You may not do this."
    status = 403


class InvalidTransition(DomainError):
    """Another request was quicker, or the step was never open from this state."""

    code = "invalid-transition"
    title = "This cannot be done in the present state."
    status = 409

    def __init__(self, *, current: str, wanted: str) -> None:
        super().__init__(
            f"A step from {current} to {wanted} does not exist.",
            current=current,
            wanted=wanted,
        )


class RequestInProgress(DomainError):
    """Another request with the same idempotency key has not ended yet."""

    code = "request-in-progress"
    title = "The same request is still being worked on."
    status = 409

    def __init__(self) -> None:
        super().__init__(
            "A request with this Idempotency-Key is still running. Repeat it shortly."
        )


class IdempotencyKeyReused(DomainError):
    """The idempotency key already names another request."""

    code = "idempotency-key-reused"
    title = "The Idempotency-Key was used for another request."
    status = 422

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key belongs to a request with another body."
            " Use a new key for a new request."
        )
