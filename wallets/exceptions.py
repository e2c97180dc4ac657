"""What the ledger refuses."""

from __future__ import annotations

from decimal import Decimal

from credits_project.exceptions import DomainError, InvalidInput, NotFound


class InsufficientCredits(DomainError):
    """A wallet would have to pay more than is available."""

    code = "insufficient-credits"
    title = "The wallet does not hold enough credits."
    status = 409

    def __init__(self, *, available: Decimal, required: Decimal) -> None:
        super().__init__(
            f"{required} credits are required and {available} are available.",
            available=str(available),
            required=str(required),
        )


class OwnWallet(InvalidInput):
    """Who would pay is who would be paid."""

    code = "own-wallet"
    title = "The credits are in this wallet already."
    status = 409

    def __init__(self, field: str) -> None:
        """Refuse the user whom `field` names."""
        super().__init__(field, "Nobody can transfer credits to themselves.")


class WalletFrozen(DomainError):
    """A frozen wallet would have to pay."""

    code = "wallet-frozen"
    title = "The wallet is frozen."
    status = 409

    def __init__(self) -> None:
        super().__init__(
            "The wallet is frozen: it can receive credits and pays none."
            " Please contact support."
        )


class NoSuchPeriod(NotFound):
    """The period ends before it begins."""

    def __init__(self) -> None:
        detail = "The period must not end before it begins."
        super().__init__(
            detail, errors=[{"pointer": "?to", "code": "invalid", "detail": detail}]
        )


class BalanceOutOfRange(DomainError):
    """A wallet would pass the largest balance that is kept."""

    code = "invalid-request"
    title = "The request does not have the expected form."
    status = 400

    def __init__(self) -> None:
        detail = "The balance must stay below 1000000000000.00."
        super().__init__(
            detail,
            errors=[{"pointer": "#/amount", "code": "max_value", "detail": detail}],
        )


class TransferKeyReused(DomainError):
    """The key already names a transfer with other legs."""

    code = "idempotency-key-reused"
    title = "The Idempotency-Key was used for another request."
    status = 422

    def __init__(self, key: str) -> None:
        super().__init__("This key already names another transfer.")
        self.key = key


class HoldKeyReused(DomainError):
    """The key already names a hold of another wallet or amount."""

    code = "idempotency-key-reused"
    title = "The Idempotency-Key was used for another request."
    status = 422

    def __init__(self, key: str) -> None:
        super().__init__("This key already names another hold.")
        self.key = key
