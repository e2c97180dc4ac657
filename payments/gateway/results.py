"""What the gateway said, as small facts with our words for it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any


class Outcome(enum.StrEnum):
    """What became of a payment or a payout."""

    PAID = "paid"
    PENDING = "pending"
    FAILED = "failed"
    # The gateway answered something that says neither; nothing may follow from it.
    UNKNOWN = "unknown"
    # The gateway says that it knows no such transaction, at this moment.
    NOT_FOUND = "not_found"


class PayoutOutcome(enum.StrEnum):
    """What the answer to sending a payout means; see `payouts.read_result`."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"


class DestinationKind(enum.StrEnum):
    """The two ways money goes out."""

    MOBILE_MONEY = "mobile_money"
    BANK = "bank"


class EventKind(enum.StrEnum):
    """What a webhook is about."""

    CHECKOUT = "checkout"
    CHARGE = "charge"
    PAYOUT = "payout"
    UNKNOWN = "unknown"


class Failure(enum.StrEnum):
    """Why an exchange brought no readable answer."""

    # The request has certainly not left this machine.
    NOT_CONNECTED = "not-connected"
    TIMED_OUT = "timed-out"
    BROKEN = "broken"
    TOO_LARGE = "too-large"
    NOT_JSON = "not-json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """One request and what came back.

    `document` is the answer as it was, numbers of accounts included, and must not be
    logged; `summary` is what may be kept.
    """

    method: str
    path: str
    # None where no status line arrived.
    http_status: int | None
    failure: Failure | None
    document: Mapping[str, Any] | None = field(repr=False)
    # Seconds the gateway asks to wait, from Retry-After.
    retry_after: int | None
    summary: Mapping[str, Any]

    @property
    def is_success(self) -> bool:
        """Whether the status line says 2xx, whatever the body is."""
        return self.http_status is not None and 200 <= self.http_status < 300


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckoutSession:
    """A hosted page on which the payer can pay."""

    tx_ref: str
    checkout_url: str
    amount: Decimal | None
    currency: str
    mode: str
    # The gateway's word, "pending".
    status: str
    http_status: int | None
    summary: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class PaymentStatus:
    """A payment as the gateway itself reports it when asked."""

    # As the gateway says, not as it was asked for: the caller compares. Empty where
    # the answer names none.
    tx_ref: str
    outcome: Outcome
    status: str
    # In major units, without a fee borne by the payer. None where it is not a number.
    amount: Decimal | None
    currency: str
    mode: str
    # The gateway's own number of the payment.
    reference: str
    channel: str
    # The gateway's fee, in major units.
    charges: Decimal | None
    completed_at: datetime | None
    message: str
    http_status: int | None
    raw: Mapping[str, Any] = field(repr=False)
    summary: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class PayoutResult:
    """The answer to sending a payout."""

    charge_id: str
    outcome: PayoutOutcome
    # The gateway's word about the payout, empty where there is none.
    status: str
    amount: Decimal | None
    currency: str
    mode: str
    reference: str
    message: str
    # Seconds to wait before it is sent again, where it was not sent.
    retry_after: int | None
    http_status: int | None
    failure: Failure | None
    raw: Mapping[str, Any] = field(repr=False)
    summary: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class PayoutStatus:
    """A payout as the gateway reports it when asked, or in its list."""

    charge_id: str
    outcome: Outcome
    status: str
    amount: Decimal | None
    currency: str
    mode: str
    reference: str
    charges: Decimal | None
    completed_at: datetime | None
    message: str
    http_status: int | None
    raw: Mapping[str, Any] = field(repr=False)
    summary: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Destination:
    """A mobile money operator or a bank that money can be sent to."""

    id: str
    name: str
    kind: DestinationKind
    supports_withdrawals: bool
    short_code: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Balance:
    """What the gateway holds for us; payouts leave `main`."""

    currency: str
    mode: str
    main: Decimal
    collection: Decimal | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """A webhook, read. It is a hint to go and ask, never a proof of payment.

    With anything in `problems` it must be parked for people and not acted upon.
    """

    kind: EventKind
    event_type: str
    tx_ref: str
    charge_id: str
    status: str
    outcome: Outcome
    amount: Decimal | None
    currency: str
    mode: str
    reference: str
    meta: Any
    problems: tuple[str, ...]
    raw: Mapping[str, Any] = field(repr=False)
