"""Take out of a message what an audit trail must not hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# Account, phone and card numbers: masked however short they are.
_NUMBERS = frozenset(
    {
        "account_number",
        "bank_account_number",
        "card_number",
        "mobile",
        "mobile_number",
        "msisdn",
        "payer_account_number",
        "phone",
        "phone_number",
    }
)
# Names of transactions: long numbers that an auditor needs to read.
_REFERENCES = frozenset(
    {
        "amount",
        "bank_uuid",
        "charge_id",
        "mobile_money_operator_ref_id",
        "ref_id",
        "reference",
        "trace_id",
        "trans_id",
        "tx_ref",
        "uuid",
    }
)
_SECRETS = frozenset({"authorization_code", "cvv", "password", "secret", "token"})

# A number of seven digits or more in free text may be somebody's account.
_LONG_NUMBER = re.compile(r"[0-9][0-9 -]{5,}[0-9]")
_KEY = re.compile(r"\b(sec|pub)-(test|live)-\w+")
# A member with the account of somebody who is paid, in the text of a JSON document.
_PAID_ACCOUNT = re.compile(
    rb'("(?:bank_)?account_number"\s*:\s*)'
    rb'(?:"([+0-9 -]{4,})"|([0-9]{4,})(?=\s*[,}\]]))'
)
_EMAIL = re.compile(r"([\w.+-])[\w.+-]*@([\w-]+(?:\.[\w-]+)+)")

TEXT_LENGTH_MAX = 500
_ITEMS_MAX = 50
_DEPTH_MAX = 8


def masked_number(number: str) -> str:
    """Return `number` with only its last three digits readable."""
    return "*" * max(len(number) - 3, 3) + number[-3:] if len(number) > 3 else "***"


def without_numbers(body: bytes) -> bytes:
    """Return the text of a JSON document, but for the accounts that money was sent to.

    It stays a document. For what is kept as the gateway sent it: an account of ours is
    encrypted at rest, and an event about the payout names it in full.
    """

    def mask(found: re.Match[bytes]) -> bytes:
        number = (found[2] or found[3]).decode()
        return found[1] + f'"{masked_number(number)}"'.encode()

    return _PAID_ACCOUNT.sub(mask, body)


def masked_text(text: str) -> str:
    """Return `text`, shortened, with keys, e-mail addresses and long numbers masked."""
    text = _KEY.sub("***", text[:TEXT_LENGTH_MAX])
    text = _EMAIL.sub(r"\1***@\2", text)
    return _LONG_NUMBER.sub(lambda found: masked_number(found[0]), text)


def masked(value: Any, *, name: str = "", depth: int = 0) -> Any:
    """Return a copy of the JSON value `value` that may be stored and shown.

    Numbers become text, so that the copy is exact and is JSON again.
    """
    if depth > _DEPTH_MAX:
        return "…"
    if isinstance(value, Mapping):
        members = list(value.items())[:_ITEMS_MAX]
        return {
            str(key)[:100]: masked(item, name=str(key), depth=depth + 1)
            for key, item in members
        }
    if isinstance(value, list | tuple):
        return [masked(item, name=name, depth=depth + 1) for item in value[:_ITEMS_MAX]]
    if value is None or isinstance(value, bool):
        return value
    return _masked_scalar(str(value), name=name)


def _masked_scalar(text: str, *, name: str) -> str:
    if name in _SECRETS:
        return "***"
    if name in _NUMBERS:
        return masked_number(text[:TEXT_LENGTH_MAX])
    if name in _REFERENCES:
        return text[:TEXT_LENGTH_MAX]
    # A time ("2024-08-08T23:21:22.000000Z") only looks like a long number.
    if name.endswith("_at"):
        return text[:40]
    return masked_text(text)
