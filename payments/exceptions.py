"""What money in refuses. `payments.gateway.exceptions` has what the gateway refuses."""

from __future__ import annotations

from credits_project.exceptions import DomainError, InvalidInput, NotFound


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
