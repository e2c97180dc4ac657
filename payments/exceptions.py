"""What money in refuses. `payments.gateway.exceptions` has what the gateway refuses."""

from __future__ import annotations

from credits_project.exceptions import (
    DomainError,
    InvalidInput,
    InvalidTransition,
    NotFound,
)


class PackageNotOnSale(InvalidInput):
    """There is no such package, or none that can be bought now."""

    code = NotFound.code
    title = NotFound.title
    status = NotFound.status

    def __init__(self) -> None:
        super().__init__(
            "package", "There is no such package on sale.", reason="does_not_exist"
        )


class PurchaseNotFound(NotFound):
    """No purchase has this name, or none that the caller may see."""

    def __init__(self) -> None:
        super().__init__("There is no such purchase.")


class NotRefundable(DomainError):
    """The purchase is not paid, or is refunded as far as it was asked for."""

    code = "not-refundable"
    title = "This cannot be refunded."
    status = 409


class AlreadyDecided(InvalidTransition):
    """Somebody was quicker, or it was pressed twice: a decision is made once."""

    def __init__(self, *, current: str, wanted: str) -> None:
        DomainError.__init__(
            self, f"It is {current} already.", current=current, wanted=wanted
        )


class NotForThisCase(DomainError):
    """What is asked for makes no sense for a case of this kind, or no more."""

    code = InvalidTransition.code
    title = InvalidTransition.title
    status = InvalidTransition.status
