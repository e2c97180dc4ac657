"""The client: one method for each thing that is asked of PayChangu."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from django.conf import settings

from payments.gateway import checkout, dialect, payouts
from payments.gateway.exceptions import GatewayRefused, GatewayUnavailable
from payments.gateway.masking import masked_text
from payments.gateway.results import (
    Balance,
    CheckoutSession,
    Destination,
    DestinationKind,
    Exchange,
    Failure,
    Outcome,
    PaymentStatus,
    PayoutResult,
    PayoutStatus,
)
from payments.gateway.transport import GatewayConfig, exchange

_CONNECT_TIMEOUT_MAX_SECONDS = 10.0
_OUR_REFERENCE = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)
_MOBILE = re.compile(r"[0-9]{9}", re.ASCII)
_PAGES_MAX = 1000

_FAILURES = {
    Failure.NOT_CONNECTED: "The payment gateway cannot be reached.",
    Failure.TIMED_OUT: "The payment gateway did not answer in time.",
    Failure.BROKEN: "The connection to the payment gateway broke.",
}
_UNREADABLE = "The payment gateway's answer cannot be read."


class Gateway:
    """PayChangu, spoken to over HTTP. Holds no connection and no state.

    Safe to share between threads. No request is ever repeated and no redirect
    followed. Nothing here may be called inside a database transaction.
    """

    def __init__(self, config: GatewayConfig) -> None:
        self.config = config

    def start_checkout(
        self,
        *,
        tx_ref: str,
        amount: Decimal,
        currency: str,
        callback_url: str,
        return_url: str,
        email: str = "",
        first_name: str = "",
        last_name: str = "",
        title: str = "",
        description: str = "",
        meta: Mapping[str, Any] | None = None,
    ) -> CheckoutSession:
        """Open a hosted page on which `amount` (major units) can be paid.

        PayChangu developer documentation, "Initiate transaction": `POST /payment`;
        any 2xx is success.

        Raises:
            GatewayRefused: the gateway does not accept the request.
            GatewayUnavailable: no usable answer; a page may exist all the same.
        """
        assert _OUR_REFERENCE.fullmatch(tx_ref), "tx_ref has another form"
        optional = {
            "email": email,
            "first_name": first_name,
            "last_name": last_name,
            "meta": dict(meta or {}),
            "customization": _filled({"title": title, "description": description}),
        }
        answer = exchange(
            self.config,
            "POST",
            "/payment",
            body={
                "amount": checkout.amount_text(amount),
                "currency": currency,
                "callback_url": callback_url,
                "return_url": return_url,
                "tx_ref": tx_ref,
                **_filled(optional),
            },
        )
        return checkout.read_session(_success(answer), tx_ref=tx_ref)

    def verify(self, tx_ref: str) -> PaymentStatus:
        """Return what the gateway says about a payment: the only proof there is.

        The answer is told as it came: whether it is about the same `tx_ref`, sum,
        currency and mode is for the caller to compare.

        PayChangu developer documentation, "Verify transaction status".

        Raises:
            GatewayUnavailable: no usable answer.
            ValueError: `tx_ref` cannot stand in a path.
        """
        answer = exchange(self.config, "GET", f"/verify-payment/{_quoted(tx_ref)}")
        return checkout.read_status(_readable(answer))

    def mobile_money_operators(self) -> list[Destination]:
        """Return the mobile money operators, those without withdrawals included.

        PayChangu developer documentation, "Mobile money operators".

        Raises:
            GatewayUnavailable: no usable answer.
        """
        answer = _success(exchange(self.config, "GET", "/mobile-money"))
        operators = [
            Destination(
                id=dialect.reference(item.get("ref_id")),
                name=dialect.text(item.get("name")),
                kind=DestinationKind.MOBILE_MONEY,
                supports_withdrawals=_yes(item.get("supports_withdrawals", True)),
                short_code=dialect.text(item.get("short_code"), length_max=50),
            )
            for item in _listed(answer)
        ]
        return [operator for operator in operators if operator.id]

    def banks(self, *, currency: str = "MWK") -> list[Destination]:
        """Return the banks that payouts in `currency` can go to.

        PayChangu developer documentation, "Banks supported for payouts".

        Raises:
            GatewayUnavailable: no usable answer.
        """
        path = "/direct-charge/payouts/supported-banks"
        answer = exchange(self.config, "GET", path, query={"currency": currency})
        banks = [
            Destination(
                id=dialect.reference(item.get("uuid")),
                name=dialect.text(item.get("name")),
                kind=DestinationKind.BANK,
                supports_withdrawals=True,
            )
            for item in _listed(_success(answer))
        ]
        return [bank for bank in banks if bank.id]

    def send_mobile_payout(
        self,
        *,
        charge_id: str,
        amount: Decimal,
        mobile: str,
        operator_id: str,
        email: str = "",
        first_name: str = "",
        last_name: str = "",
        transaction_status: str = "",
    ) -> PayoutResult:
        """Send whole kwacha to a phone; `mobile` is 9 digits without 0 or 265.

        `transaction_status` (`successful` or `failed`) decides the result in test mode
        and may not be given in live mode. Never raises for what the gateway does.

        PayChangu developer documentation, "Mobile money payout". Its guide prints the
        address for collections here, which is an error of the guide.
        """
        assert _MOBILE.fullmatch(mobile), "mobile must be 9 digits"
        assert not transaction_status or self.config.mode == "test", "test mode only"
        recipient = {
            "mobile": mobile,
            "mobile_money_operator_ref_id": operator_id,
            "transaction_status": transaction_status,
            **_person(email=email, first_name=first_name, last_name=last_name),
        }
        return self._send_payout(
            "/mobile-money/payouts/initialize",
            charge_id=charge_id,
            amount=amount,
            recipient=recipient,
        )

    def send_bank_payout(
        self,
        *,
        charge_id: str,
        amount: Decimal,
        bank_id: str,
        account_name: str,
        account_number: str,
        email: str = "",
        first_name: str = "",
        last_name: str = "",
    ) -> PayoutResult:
        """Send whole kwacha to a bank account. Never raises for what the gateway does.

        PayChangu developer documentation, "Bank payout".
        """
        recipient = {
            "payout_method": "bank_transfer",
            "bank_uuid": bank_id,
            "bank_account_name": account_name,
            "bank_account_number": account_number,
            **_person(email=email, first_name=first_name, last_name=last_name),
        }
        return self._send_payout(
            "/direct-charge/payouts/initialize",
            charge_id=charge_id,
            amount=amount,
            recipient=recipient,
        )

    def _send_payout(
        self,
        path: str,
        *,
        charge_id: str,
        amount: Decimal,
        recipient: Mapping[str, Any],
    ) -> PayoutResult:
        assert _OUR_REFERENCE.fullmatch(charge_id), "charge_id has another form"
        assert amount == amount.to_integral_value(), "payouts are whole kwacha"
        body = {
            "charge_id": charge_id,
            "amount": checkout.amount_text(amount),
            **_filled(recipient),
        }
        answer = exchange(self.config, "POST", path, body=body)
        return payouts.read_result(answer, charge_id=charge_id)

    def payout_status(self, charge_id: str, *, kind: DestinationKind) -> PayoutStatus:
        """Return what the gateway says about a payout.

        Sources disagree on the address for mobile money, so where the first knows
        nothing the second is asked. `NOT_FOUND` soon after sending proves nothing.

        PayChangu developer documentation, "Single payout details".

        Raises:
            GatewayUnavailable: no usable answer.
            ValueError: `charge_id` cannot stand in a path.
        """
        name = _quoted(charge_id)
        paths = [f"/direct-charge/payouts/{name}/details"]
        if kind == DestinationKind.MOBILE_MONEY:
            paths.insert(0, f"/mobile-money/payments/{name}/details")
        unanswered: GatewayUnavailable | None = None
        for path in paths:
            try:
                answer = _readable(exchange(self.config, "GET", path))
            except GatewayUnavailable as error:
                unanswered = unanswered or error
                continue
            status = payouts.read_status(answer, charge_id=charge_id)
            if status.outcome is not Outcome.NOT_FOUND:
                return status
        # One address that knows nothing proves nothing while the other is silent.
        if unanswered is not None:
            raise unanswered
        return status

    def balance(self, *, currency: str = "MWK") -> Balance:
        """Return what the gateway holds for us.

        PayChangu developer documentation, "Wallet balance".

        Raises:
            GatewayUnavailable: no usable answer.
        """
        answer = _success(
            exchange(
                self.config, "GET", "/wallet-balance", query={"currency": currency}
            )
        )
        data = dialect.members((answer.document or {}).get("data"))
        main = dialect.amount(data.get("main_balance"))
        if main is None:
            raise GatewayUnavailable(_UNREADABLE, exchange=answer)
        return Balance(
            currency=dialect.currency(data.get("currency")),
            mode=dialect.mode(data.get("environment")),
            main=main,
            collection=dialect.amount(data.get("collection_balance")),
        )

    def payouts(self) -> Iterator[PayoutStatus]:
        """Yield every payout of the gateway's list, page by page.

        Only page numbers are taken from the answers, never an address. A list that
        grows meanwhile may yield a payout twice.

        PayChangu developer documentation, "All payouts".

        Raises:
            GatewayUnavailable: no usable answer; what was yielded before is valid.
        """
        for page in range(1, _PAGES_MAX + 1):
            path = "/direct-charge/payouts"
            answer = exchange(self.config, "GET", path, query={"page": str(page)})
            data = dialect.members((_success(answer).document or {}).get("data"))
            rows = data.get("data")
            if not isinstance(rows, list):
                raise GatewayUnavailable(_UNREADABLE, exchange=answer)
            yield from (payouts.read_listed(dialect.members(row)) for row in rows)
            pages = dialect.amount(data.get("total_pages"))
            if not rows or pages is None or page >= pages:
                return


def from_settings() -> Gateway:
    """Return the gateway that the settings name."""
    read_timeout_seconds = float(settings.PAYCHANGU_TIMEOUT_SECONDS)
    return Gateway(
        GatewayConfig(
            base_url=settings.PAYCHANGU_BASE_URL,
            secret_key=settings.PAYCHANGU_SECRET_KEY,
            mode=settings.PAYCHANGU_MODE,
            connect_timeout_seconds=min(
                _CONNECT_TIMEOUT_MAX_SECONDS, read_timeout_seconds
            ),
            read_timeout_seconds=read_timeout_seconds,
        )
    )


def _readable(answer: Exchange) -> Exchange:
    """Return an answer that says something about what was asked, good or bad."""
    status = answer.http_status
    # The bodies of 404 are not documented and may be HTML; the number says enough.
    if status == 404 and answer.failure in {None, Failure.NOT_JSON}:
        return answer
    if answer.failure is not None:
        detail = _FAILURES.get(answer.failure, _UNREADABLE)
    elif status in {401, 403}:
        detail = "The payment gateway does not accept this system's key."
    elif status == 429:
        detail = "The payment gateway asks for fewer requests."
    elif answer.is_success or status in {400, 422}:
        return answer
    else:
        detail = "The payment gateway is out of order."
    extra = {} if answer.retry_after is None else {"retry_after": answer.retry_after}
    raise GatewayUnavailable(detail, exchange=answer, **extra)


def _success(answer: Exchange) -> Exchange:
    """Return an answer that says yes."""
    if not _readable(answer).is_success:
        reason = masked_text(dialect.message(answer.document))
        raise GatewayRefused(reason=reason, exchange=answer)
    return answer


def _listed(answer: Exchange) -> list[Mapping[str, Any]]:
    """Return the objects of a list of destinations.

    Raises:
        GatewayUnavailable: there is no list.
    """
    rows = (answer.document or {}).get("data")
    if not isinstance(rows, list):
        raise GatewayUnavailable(_UNREADABLE, exchange=answer)
    return [dialect.members(row) for row in rows]


def _yes(value: Any) -> bool:
    return value is True or dialect.word(value) in {"1", "true", "yes"}


def _quoted(reference: str) -> str:
    """Return a reference as one segment of a path.

    Raises:
        ValueError: no quoting would keep it one.
    """
    # Dots alone mean "up" to every URL library, quoted or not.
    if not reference.strip(".") or len(reference) > 255 or not reference.isprintable():
        raise ValueError("not a reference of a transaction")
    return quote(reference, safe="")


def _filled(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` without those that are empty."""
    return {name: value for name, value in values.items() if value}


def _person(*, email: str, first_name: str, last_name: str) -> dict[str, str]:
    return {"email": email, "first_name": first_name, "last_name": last_name}
