"""Deliveries that are nearly right: documented events with something spoiled."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

from payments import gateway
from tests.payments.canned_gateway import documented
from tests.simulator_process import SECRET_KEY, WEBHOOK_SECRET

BODY_LENGTH_MAX: Final = 64 * 1024

# What a spoiled value becomes, as JSON.
NUMBERS: Final = (
    "NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e-400", "-1", "-0", "0",
    "-0.0", "0.1", "0.005", "999999999999.99", "1000000000000", "1e12", "1E3", "1000.0",
    "1000.001", "9223372036854775808", "1" + "0" * 60, "1" * 5000, "0." + "3" * 5000,
)  # fmt: skip
TEXTS: Final = (
    "", " ", "1000", "1,000", "1000.00", "-1000", "NaN", "inf", "1e3", "٣", "1000\n",
    "None", "null", "true", "\x00", "a\x00b", "\ud800", "\udfff\ud800", "\ufeff", "'",
    "'; DROP TABLE gateway_events; --", "<script>alert(1)</script>", "%00", "../..",
    "=cmd|' /C calc'!A0", "x" * 300, "é" * 200, "\u202e", "a/b?c#d%2f..",
)  # fmt: skip
WORDS: Final = (
    "success", "SUCCESS", "Successful", "success ", "successfull", "paid", "complete",
    "approved", "pending", "failed", "reversed", "refunded", "charged_back", "", "1",
    "checkout.payment", "api.charge.payment", "api.payout", "checkout.refund",
    "Checkout.Payment", "live", "test", "sandbox", "MWK", "MK", "USD", "mwk", "ZMW",
)  # fmt: skip
_WORDED: Final = ("status", "event_type", "mode", "currency", "type")
_NAMED: Final = ("tx_ref", "charge_id", "reference")
_MARK: Final = "\uffffmark\uffff"
_HEX: Final = frozenset("0123456789abcdef")


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """One delivery as it goes out; `kind` is what was spoiled."""

    kind: str
    body: bytes
    signature: str
    is_signed: bool


class Mutator:
    """Draws deliveries; the same seed and names give the same ones."""

    def __init__(self, *, seed: int, names: list[str]) -> None:
        self.random = random.Random(seed)  # noqa: S311 - repeatable
        self.names = names

    def draw(self) -> Delivery:
        """Return the next delivery."""
        (name,) = self.random.choices([*_EVENTS], weights=[*_EVENTS.values()])
        document = json.loads(documented(name))
        field = "tx_ref" if "checkout" in name else "charge_id"
        document[field] = self.random.choice(self.names)
        document |= {"amount": 1000, "currency": "MWK", "mode": "test"}
        kind, spoil = self.random.choice(_SPOILERS)
        body = spoil(self, document)
        # Now and then two things at once.
        if self.random.random() < 0.2:
            body = _flip_bytes_of(self, body)
            kind = f"{kind}, bytes flipped"
        signature, is_signed = self._signature(body)
        return Delivery(kind=kind, body=body, signature=signature, is_signed=is_signed)

    def _signature(self, body: bytes) -> tuple[str, bool]:
        right = gateway.sign(body, WEBHOOK_SECRET)
        wrong: tuple[str, ...] = (
            "",
            "0" * 64,
            right.upper(),
            f"{right} ",
            right[:-1],
            f"sha256={right}",
            "é" * 64,
            "x" * 10_000,
            gateway.sign(body + b" ", WEBHOOK_SECRET),
            gateway.sign(body, "not-the-secret"),
        )
        chance = self.random.random()
        if chance < 0.9:
            return right, True
        if chance < 0.95:
            # Some deployments of the gateway sign with the API's key.
            return gateway.sign(body, SECRET_KEY), True
        given = self.random.choice(wrong)
        # A signature of digits alone has no upper case.
        return given, given == right

    # Places in a document

    def places(self, value: Any) -> list[tuple[Any, Any]]:
        """Return every place in a document: what holds it, and its key there."""
        found: list[tuple[Any, Any]] = []
        if isinstance(value, dict):
            for key, inner in value.items():
                found.append((value, key))
                found += self.places(inner)
        return found

    def place(self, document: Any) -> tuple[Any, Any]:
        """Return one of the places, one of those that matter half of the time."""
        places = self.places(document)
        if self.random.random() < 0.5:
            important = {*_WORDED, *_NAMED, "amount", "charge", "meta"}
            places = [one for one in places if one[1] in important] or places
        return self.random.choice(places)


def encode(document: Any) -> bytes:
    """Return JSON as the gateway's PHP writes it: with every slash escaped."""
    text = json.dumps(document, separators=(",", ":"))
    return text.replace("/", "\\/").encode()


def _with_raw(mutator: Mutator, document: Any, text: str) -> bytes:
    """Put `text` as it stands in the place of some value."""
    holder, key = mutator.place(document)
    holder[key] = _MARK
    return encode(document).replace(encode(_MARK), text.encode("utf-8", "replace"))


def _nothing(mutator: Mutator, document: Any) -> bytes:
    # Something always differs, or thousands would be one event.
    document["updated_at"] = str(mutator.random.random())
    return encode(document)


def _flip_bytes(mutator: Mutator, document: Any) -> bytes:
    return _flip_bytes_of(mutator, encode(document))


def _flip_bytes_of(mutator: Mutator, body: bytes) -> bytes:
    spoiled = bytearray(body)
    for _ in range(mutator.random.randint(1, 4)):
        if spoiled:
            at = mutator.random.randrange(len(spoiled))
            spoiled[at] ^= 1 << mutator.random.randrange(8)
    return bytes(spoiled)


def _remove_fields(mutator: Mutator, document: Any) -> bytes:
    for _ in range(mutator.random.randint(1, 5)):
        holder, key = mutator.place(document)
        del holder[key]
        if not document:
            break
    return encode(document)


def _change_type(mutator: Mutator, document: Any) -> bytes:
    holder, key = mutator.place(document)
    old = holder[key]
    others: list[Any] = [None, True, False, 0, 1, 1000, 1.5, [], {}, [old], {key: old}]
    others += [str(old), [[old]], {"amount": old}, [None] * 100]
    holder[key] = mutator.random.choice(others)
    return encode(document)


def _spoil_number(mutator: Mutator, document: Any) -> bytes:
    number = mutator.random.choice(NUMBERS)
    if mutator.random.random() < 0.6:
        document["amount"] = _MARK
        return encode(document).replace(encode(_MARK), number.encode())
    return _with_raw(mutator, document, number)


def _spoil_text(mutator: Mutator, document: Any) -> bytes:
    holder, key = mutator.place(document)
    holder[key] = mutator.random.choice(TEXTS)
    return encode(document)


def _nest(mutator: Mutator, document: Any) -> bytes:
    depth = mutator.random.choice([1, 10, 49, 50, 51, 100, 900, 1100, 9_000, 30_000])
    opening, closing = mutator.random.choice([("[", "]"), ('{"a":', "}")])
    depth = min(depth, (BODY_LENGTH_MAX - 4096) // (len(opening) + 1))
    core = mutator.random.choice(["1000", "null", '"success"', ""])
    if opening != "[":
        core = core or "1"
    return _with_raw(mutator, document, opening * depth + core + closing * depth)


def _repeat_key(mutator: Mutator, document: Any) -> bytes:
    name = mutator.random.choice([*document])
    other = mutator.random.choice(["null", "1", '"success"', '"checkout.payment"'])
    twice = f'"{name}":{other}'.encode()
    body = encode(document)
    if mutator.random.random() < 0.5:
        return b"{" + twice + b"," + body[1:]
    return body[:-1] + b"," + twice + b"}"


def _spoil_encoding(mutator: Mutator, document: Any) -> bytes:
    body = encode(document)
    at = mutator.random.randrange(len(body))
    spoilers = [
        body[:at] + b"\xff" + body[at:],
        body[:at] + b"\xc3\x28" + body[at:],
        body[:at] + b"\xed\xa0\x80" + body[at:],
        body[:at] + b"\x00" + body[at:],
        b"\xef\xbb\xbf" + body,
        body.decode().encode("utf-16"),
        body.decode().encode("utf-32-le"),
    ]
    return mutator.random.choice(spoilers)


def _cut_or_add(mutator: Mutator, document: Any) -> bytes:
    body = encode(document)
    at = mutator.random.randrange(len(body))
    shorter = [b"", b" ", b"\n" * 50, body[:at], body[at:]]
    longer = [body + body, body + b"x", body + b"\x00", body * 60]
    wrapped = [b"[" + body + b"]", b'"' + body + b'"']
    return mutator.random.choice([*shorter, *longer, *wrapped])


def _unknown_word(mutator: Mutator, document: Any) -> bytes:
    for _ in range(mutator.random.randint(1, 3)):
        name = mutator.random.choice(_WORDED)
        document[name] = mutator.random.choice(WORDS)
    return encode(document)


def _mix_names(mutator: Mutator, document: Any) -> bytes:
    others = [*mutator.names, *TEXTS, "withdrawal-1", 17, None, [*mutator.names]]
    for name in _NAMED:
        if mutator.random.random() < 0.6:
            document[name] = mutator.random.choice(others)
    return encode(document)


def _wrap(mutator: Mutator, document: Any) -> bytes:
    name = mutator.random.choice(["data", "event", "transaction", "0", ""])
    inner = deepcopy(document)
    shape = mutator.random.choice([{name: inner}, {**document, name: inner}, [inner]])
    return encode(shape)


def _other_amount(mutator: Mutator, document: Any) -> bytes:
    amount = mutator.random.choice(
        [1, 999, 1001, 10**9, "1000", 1000.01, mutator.random.random()]
    )
    document["amount"] = document["total_amount_paid"] = amount
    return encode(document)


# And how often each is drawn.
_EVENTS: Final = {
    "webhook_checkout.json": 8,
    "webhook_charge.json": 1,
    "webhook_payout.json": 1,
}
_Spoiler = Callable[[Mutator, Any], bytes]
_SPOILERS: Final[tuple[tuple[str, _Spoiler], ...]] = (
    ("nothing", _nothing),
    ("bytes flipped", _flip_bytes),
    ("fields removed", _remove_fields),
    ("type changed", _change_type),
    ("number", _spoil_number),
    ("text", _spoil_text),
    ("nested", _nest),
    ("duplicate key", _repeat_key),
    ("encoding", _spoil_encoding),
    ("cut or added", _cut_or_add),
    ("unknown word", _unknown_word),
    ("names mixed", _mix_names),
    ("wrapped", _wrap),
    ("other amount", _other_amount),
)
KINDS: Final = tuple(kind for kind, _ in _SPOILERS)
