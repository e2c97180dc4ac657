"""What can go wrong between the gateway and us."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from credits_project.exceptions import DomainError

if TYPE_CHECKING:
    from payments.gateway.results import Exchange


class GatewayUnavailable(DomainError):
    """The gateway gave no answer that can be relied on; asking again may help.

    `exchange` is what was seen on the wire, masked, for the audit trail; it is None
    where nothing was sent. It never becomes part of the answer to a client.
    """

    code = "gateway-unavailable"
    title = "The payment gateway cannot be reached at the moment."
    status = 502

    def __init__(
        self, detail: str, *, exchange: Exchange | None = None, **extra: Any
    ) -> None:
        super().__init__(detail, **extra)
        self.exchange = exchange


class GatewayRefused(GatewayUnavailable):
    """The gateway understood the request and said no; asking again will not help.

    For the client it is the same as an outage (there is nothing they could change);
    `reason` is the gateway's own text, for staff and logs.
    """

    def __init__(self, *, reason: str, exchange: Exchange) -> None:
        super().__init__("The payment gateway refused the request.", exchange=exchange)
        self.reason = reason


class UnreadableEvent(ValueError):
    """A webhook body that is no JSON text, or one made to hurt its reader."""
