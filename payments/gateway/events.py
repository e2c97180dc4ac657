"""Webhooks: whether they are the gateway's, and what they say."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from payments.gateway import dialect
from payments.gateway.exceptions import UnreadableEvent
from payments.gateway.results import Event, EventKind, Outcome

# PayChangu developer documentation, "Webhooks".
_KINDS = {
    "checkout.payment": EventKind.CHECKOUT,
    "api.charge.payment": EventKind.CHARGE,
    "api.payout": EventKind.PAYOUT,
}
_MODES = frozenset({"test", "live"})
_SIGNATURE_LENGTH = 64


def sign(body: bytes, secret: str) -> str:
    """Return the signature of a raw body: HMAC-SHA256 in lower-case hex.

    PayChangu developer documentation, "Webhooks", header `Signature`.
    """
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def matching_secret(
    body: bytes, header: str | None, secrets: Sequence[str]
) -> int | None:
    """Return the index of the secret that signed `body`, or None where none did.

    Which key signs is disputed (the documentation says the webhook secret, some
    production code the API key), so the caller gives all that are acceptable. Empty
    secrets never match. No header, however odd, raises.
    """
    if header is None or len(header) != _SIGNATURE_LENGTH:
        return None
    given = header.encode("utf-8", "surrogatepass")
    for index, secret in enumerate(secrets):
        if secret and hmac.compare_digest(sign(body, secret).encode(), given):
            return index
    return None


def parse_event(body: bytes) -> Event:
    """Return what a webhook says; whatever is odd about it stands in `problems`.

    PayChangu developer documentation, "Webhooks": the body is flat, has no `data`.

    Raises:
        UnreadableEvent: the body is not JSON, or is built to hurt its reader.
    """
    try:
        value, problems = dialect.parse(body)
    except dialect.Malformed as error:
        raise UnreadableEvent("The body is not readable JSON.") from error
    if not isinstance(value, dict):
        problems.append("not-an-object")
        value = {}
    return _read(value, problems)


def _read(raw: Mapping[str, Any], problems: list[str]) -> Event:
    event_type = dialect.text(raw.get("event_type"))
    kind = _KINDS.get(event_type, EventKind.UNKNOWN)
    amount = dialect.amount(raw.get("amount"))
    mode = dialect.mode(raw.get("mode"))
    tx_ref = dialect.reference(raw.get("tx_ref"))
    charge_id = dialect.reference(raw.get("charge_id"))
    outcome = dialect.outcome(raw.get("status"))
    meta, meta_is_readable = _meta(raw.get("meta"))
    found = {
        "unknown-event-type": kind is EventKind.UNKNOWN,
        "tx-ref-missing": kind is EventKind.CHECKOUT and not tx_ref,
        "charge-id-missing": (
            kind in {EventKind.CHARGE, EventKind.PAYOUT} and not charge_id
        ),
        "unknown-status": outcome is Outcome.UNKNOWN,
        "amount-invalid": amount is None,
        "currency-missing": not dialect.currency(raw.get("currency")),
        "unknown-mode": mode not in _MODES,
        "meta-unreadable": not meta_is_readable,
    }
    problems = problems + [name for name, is_so in found.items() if is_so]
    return Event(
        kind=kind,
        event_type=event_type,
        tx_ref=tx_ref,
        charge_id=charge_id,
        status=dialect.word(raw.get("status")),
        outcome=outcome,
        amount=amount,
        currency=dialect.currency(raw.get("currency")),
        mode=mode,
        reference=dialect.reference(raw.get("reference")),
        meta=meta,
        problems=tuple(problems),
        raw=raw,
    )


def _meta(value: Any) -> tuple[Any, bool]:
    """Return `meta` decoded, and whether it could be.

    In webhooks it is a JSON text inside the JSON: `"{…}"`, `"[]"`, `"null"`.
    """
    if not isinstance(value, str) or value == "":
        return value or None, True
    try:
        decoded, problems = dialect.parse(value.encode("utf-8"))
    except dialect.Malformed:
        return None, False
    return decoded, not problems
