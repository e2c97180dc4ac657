"""PayChangu's dialect: its JSON, words, sums and times, read without trusting them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from payments.gateway.results import Outcome

# PayChangu developer documentation, passim: "success" in most answers, "successful"
# in those of mobile money and of payouts.
SUCCESS_WORDS = frozenset({"success", "successful"})
_OUTCOMES = {
    **dict.fromkeys(SUCCESS_WORDS, Outcome.PAID),
    **dict.fromkeys(("pending", "processing"), Outcome.PENDING),
    **dict.fromkeys(("failed", "cancelled", "reversed"), Outcome.FAILED),
}

# An answer or event that is honest stays far below these; they are there so that a
# dishonest one costs nothing.
_NUMBER_LENGTH_MAX = 40
_DEPTH_MAX = 50
_AMOUNT_MAX = Decimal(10) ** 12
_DECIMALS_MAX = 12
_AMOUNT = re.compile(r"[0-9]{1,13}(\.[0-9]{1,12})?", re.ASCII)
_FORBIDDEN = re.compile("[\x00\ud800-\udfff]")

NOT_FINITE = "not-finite"
DUPLICATE_KEYS = "duplicate-keys"


class Malformed(ValueError):
    """A text that is not the JSON it should be."""


def parse(text: bytes) -> tuple[Any, list[str]]:
    """Return the JSON value of `text` and what is suspicious about it.

    Numbers with a point or exponent become Decimal, exactly as written. NaN and
    Infinity, which Python would accept, become None and `not-finite`; a name given
    twice in an object is `duplicate-keys`.

    Raises:
        Malformed: not UTF-8 or not JSON, numbers of absurd length, nesting of absurd
            depth, or text that PostgreSQL could not store (U+0000, lone surrogates).
    """
    problems: list[str] = []
    try:
        value = json.loads(
            text.decode("utf-8"),
            parse_float=_float_reader(problems),
            parse_int=_read_int,
            parse_constant=_constant_reader(problems),
            object_pairs_hook=_object_reader(problems),
        )
    except (ValueError, RecursionError) as error:
        raise Malformed(type(error).__name__) from error
    _check_contents(value)
    return value, list(dict.fromkeys(problems))


def parse_answer(text: bytes) -> dict[str, Any] | None:
    """Return the JSON object of an answer; None where it is none or is odd."""
    try:
        value, problems = parse(text)
    except Malformed:
        return None
    return value if isinstance(value, dict) and not problems else None


def _float_reader(problems: list[str]) -> Callable[[str], Decimal | None]:
    def read(text: str) -> Decimal | None:
        if len(text) > _NUMBER_LENGTH_MAX:
            raise Malformed("a number is too long")
        try:
            return Decimal(text)
        except ArithmeticError:
            # An exponent that even Decimal cannot hold.
            problems.append(NOT_FINITE)
            return None

    return read


def _read_int(text: str) -> int:
    if len(text) > _NUMBER_LENGTH_MAX:
        raise Malformed("a number is too long")
    return int(text)


def _constant_reader(problems: list[str]) -> Callable[[str], None]:
    def read(_: str) -> None:
        problems.append(NOT_FINITE)

    return read


def _object_reader(
    problems: list[str],
) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    def read(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) < len(pairs):
            problems.append(DUPLICATE_KEYS)
        return members

    return read


def _check_contents(value: Any) -> None:
    # A loop and not a recursion: it must hold for whatever depth the parser accepted.
    waiting = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        if depth > _DEPTH_MAX:
            raise Malformed("nested too deeply")
        if isinstance(item, str) and _FORBIDDEN.search(item):
            raise Malformed("characters that cannot be stored")
        if isinstance(item, dict):
            waiting.extend((part, depth + 1) for part in item)
            waiting.extend((part, depth + 1) for part in item.values())
        elif isinstance(item, list):
            waiting.extend((part, depth + 1) for part in item)


def amount(value: Any) -> Decimal | None:
    """Return a sum in major units from an int, a Decimal or text; None if it is none.

    Sums are exact, never negative and below 10^12. PayChangu sends the same field as
    an int, a float or a string, depending on the endpoint and on the sum.
    """
    if isinstance(value, str):
        value = Decimal(value) if _AMOUNT.fullmatch(value) else None
    elif isinstance(value, int) and not isinstance(value, bool):
        value = Decimal(value)
    if not isinstance(value, Decimal) or not value.is_finite():
        return None
    if value.is_signed():
        return None
    # The size is looked at before any arithmetic: 1e999999999 takes minutes to expand.
    exponent = int(value.as_tuple().exponent)
    if exponent < -_DECIMALS_MAX or value.adjusted() > 12 or value >= _AMOUNT_MAX:
        return None
    return value.quantize(Decimal(1)) if exponent > 0 else value


def text(value: Any, *, length_max: int = 255) -> str:
    """Return a short text or number as text, and anything else as the empty text."""
    if isinstance(value, str):
        return value.strip()[:length_max]
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)[:length_max]
    return ""


def reference(value: Any) -> str:
    """Return a reference as text, unchanged: one cut short would be another's.

    The empty text stands for none, and for one that is too long to be any.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and len(value) <= 255 else ""


def word(value: Any) -> str:
    """Return a status word in lower case."""
    return text(value, length_max=50).lower()


def is_success(value: Any) -> bool:
    """Whether a status word says success, in either spelling and any case."""
    return word(value) in SUCCESS_WORDS


def outcome(value: Any) -> Outcome:
    """Return what a status word means; a word that is not known means nothing."""
    return _OUTCOMES.get(word(value), Outcome.UNKNOWN)


def currency(value: Any) -> str:
    """Return a currency code. PayChangu writes the kwacha as `MWK` and as `MK`."""
    code = text(value, length_max=10).upper()
    return "MWK" if code == "MK" else code


def mode(value: Any) -> str:
    """Return `test` or `live`, or the word as it came.

    `sandbox` is what checkout sessions call the test mode.
    """
    name = word(value)
    return "test" if name == "sandbox" else name


def moment(value: Any) -> datetime | None:
    """Return a time with its zone; one without is taken as UTC."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        read = datetime.fromisoformat(value)
        return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def members(value: Any) -> Mapping[str, Any]:
    """Return an object, and an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def message(document: Mapping[str, Any] | None) -> str:
    """Return the envelope's message, which is text or lists of text by field."""
    content = (document or {}).get("message")
    if isinstance(content, Mapping):
        parts = [f"{name}: {_joined(texts)}" for name, texts in content.items()]
        return "; ".join(parts)[:500]
    return _joined(content)[:500]


def _joined(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(item for item in value if isinstance(item, str))
    return value if isinstance(value, str) else ""
