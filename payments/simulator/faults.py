"""Faults on demand, by name and endpoint.

A fault is armed for an endpoint and a number of times. To add one: write a function
that makes or changes a Reply, and name it in `BEFORE` (the request is not processed)
or `AFTER` (it is); those of `KNOWN_ELSEWHERE` are looked at by the code they concern.
One comes in between: with `processed-late` the request is, once nobody waits for it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from payments.simulator.wire import Refused, Reply, failure

Options = Mapping[str, Any]

ENDPOINTS = (
    "checkout",
    "verify",
    "operators",
    "banks",
    "payout",
    "mobile-lookup",
    "bank-lookup",
    "payout-list",
    "balance",
    "webhook",
    "payout-result",
    "attempt",
)
_API = ENDPOINTS[:9]
# One name for several endpoints.
GROUPS = {"lookup": ("mobile-lookup", "bank-lookup"), "any": _API}

_HTML = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


def _html(options: Options) -> Reply:
    status = int(options.get("status", 502))
    return Reply(status=status, body=_HTML, content_type="text/html")


def _rate_limited(options: Options) -> Reply:
    reply = failure("Too Many Attempts.", status=429)
    reply.headers["Retry-After"] = str(options.get("retry_after", 2))
    return reply


def _redirected(options: Options) -> Reply:
    location = str(options.get("location", "http://127.0.0.1:9/elsewhere"))
    return Reply(status=302, body=b"", headers={"Location": location})


# The request is not processed.
BEFORE: dict[str, Callable[[Options], Reply]] = {
    "timeout-before": lambda options: Reply(
        wait_seconds=float(options.get("seconds", 60)), cut_after=0
    ),
    "reset-before": lambda _: Reply(cut_after=0),
    "500-before": lambda _: failure("Server Error", status=500),
    "html-before": _html,
    "rate-limited": _rate_limited,
    "not-found": lambda _: failure("Transaction not found.", status=404),
    "unauthorized": lambda _: failure("Unauthorized request.", status=401),
    "refused": lambda options: failure(options.get("message", "Request refused.")),
    "redirect": _redirected,
}


def _slow(reply: Reply, options: Options) -> Reply:
    reply.wait_seconds = float(options.get("seconds", 2))
    return reply


def _timeout(reply: Reply, options: Options) -> Reply:
    return Reply(wait_seconds=float(options.get("seconds", 60)), cut_after=0)


def _truncated(reply: Reply, _: Options) -> Reply:
    """Half of the body, and a length that agrees with it."""
    whole = reply.encoded()
    reply.body = whole[: len(whole) // 2]
    return reply


def _cut_off(reply: Reply, _: Options) -> Reply:
    reply.cut_after = 0.5
    return reply


def _drip(reply: Reply, options: Options) -> Reply:
    reply.drip_seconds = float(options.get("seconds", 0.5))
    return reply


def _invalid_json(reply: Reply, options: Options) -> Reply:
    reply.body = str(options.get("body", "{'status': success")).encode()
    return reply


def _other_status(reply: Reply, options: Options) -> Reply:
    reply.status = int(options.get("status", 201))
    return reply


def transaction_of(document: Any) -> dict[str, Any]:
    """Return the object inside an envelope that tells of the transaction."""
    data = document.get("data") if isinstance(document, dict) else None
    for name in ("transaction", "data"):
        if isinstance(data, dict) and isinstance(data.get(name), dict):
            return cast("dict[str, Any]", data[name])
    return data if isinstance(data, dict) else {}


def _setting(name: str, *values: Any) -> Callable[[dict[str, Any], Options], None]:
    """Return what sets a field: to the first value that it does not have already."""

    def alter(transaction: dict[str, Any], options: Options) -> None:
        other = next(one for one in values if one != transaction.get(name))
        transaction[name] = options.get(name, other)

    return alter


# What is said of a transaction, in answers and in events, is not so.
SAID: dict[str, Callable[[dict[str, Any], Options], None]] = {
    "alter": lambda transaction, options: transaction.update(options.get("set", {})),
    "wrong-amount": _setting("amount", 1, 2),
    "wrong-currency": _setting("currency", "USD", "MWK"),
    "wrong-mode": _setting("mode", "live", "test"),
    "wrong-reference": _setting("tx_ref", "somebody-elses"),
    "unknown-status": _setting("status", "reviewing"),
    "not-a-number": _setting("amount", float("nan")),
}


def _saying(name: str) -> Callable[[Reply, Options], Reply]:
    def say(reply: Reply, options: Options) -> Reply:
        SAID[name](transaction_of(reply.document), options)
        return reply

    return say


def _contradicting(reply: Reply, options: Options) -> Reply:
    """What is paid is not, whatever the event said."""
    said = transaction_of(reply.document)
    kept = {name: said.get(name) for name in ("tx_ref", "currency", "amount", "mode")}
    data = {**kept, "status": options.get("status", "pending"), "popup": False}
    return failure("Payment transaction not created.", data=data)


def _no_withdrawals(reply: Reply, options: Options) -> Reply:
    for operator in reply.document["data"]:
        if options.get("ref_id") in {None, operator["ref_id"]}:
            operator["supports_withdrawals"] = False
    return reply


# The request is processed, and the answer is not what it should be.
AFTER: dict[str, Callable[[Reply, Options], Reply]] = {
    "slow": _slow,
    "timeout-after": _timeout,
    "reset-after": lambda *_: Reply(cut_after=0),
    "500-after": lambda *_: failure("Server Error", status=500),
    "html-after": lambda _, options: _html(options),
    "truncated": _truncated,
    "cut-off": _cut_off,
    "drip": _drip,
    "invalid-json": _invalid_json,
    "other-http-status": _other_status,
    **{name: _saying(name) for name in SAID},
    "contradicts": _contradicting,
    "no-withdrawals": _no_withdrawals,
}

# By the endpoint that they are for.
KNOWN_ELSEWHERE = {
    # See webhooks.py.
    "webhook": {
        "lost",
        "copies",
        "repeated",
        "delay",
        "forged",
        "unsigned",
        "signed-with-api-key",
        "held-back",
    },
    # See payouts.py.
    "payout-result": {
        "failed",
        "pending",
        "failed-after-success",
        "success-after-failed",
    },
    "payout": {
        # The event arrives before the answer to the request.
        "webhook-first",
        # A charge_id that is sent again is paid again.
        "pays-again",
    },
    # An attempt to pay that succeeds is preceded by one that fails.
    "attempt": {"failed-first"},
}

PROCESSED_LATE = "processed-late"
NAMES = {*BEFORE, *AFTER, *set().union(*KNOWN_ELSEWHERE.values()), PROCESSED_LATE}
# Faults of the answers that make sense at one endpoint alone.
_OF_ONE = {"contradicts": "verify", "no-withdrawals": "operators"}


def names_for(endpoint: str) -> set[str]:
    """Return the faults that an endpoint or a group can have."""
    names = set(KNOWN_ELSEWHERE.get(endpoint, ()))
    if endpoint == "webhook":
        names |= SAID.keys()
    if endpoint in {*_API, *GROUPS}:
        names |= BEFORE.keys() | AFTER.keys() | {PROCESSED_LATE}
        names -= {name for name, only in _OF_ONE.items() if only != endpoint}
    return names


@dataclass(kw_only=True, slots=True)
class Fault:
    """An armed fault. `times` counts down; None is for ever."""

    endpoint: str
    name: str
    times: int | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def check(self) -> Fault:
        """Return the fault itself, which exists.

        Raises:
            Refused: there is no such endpoint or fault, or the one cannot have the
                other.
        """
        if self.name not in NAMES:
            raise Refused({"fault": [f"unknown: {self.name}"]})
        if self.endpoint not in {*ENDPOINTS, *GROUPS}:
            raise Refused({"endpoint": [f"unknown: {self.endpoint}"]})
        if self.name not in names_for(self.endpoint):
            raise Refused({"fault": [f"not one of {self.endpoint}: {self.name}"]})
        if self.times is not None and self.times < 1:
            raise Refused({"times": ["must be a number above 0"]})
        for name in ("seconds", "count", "status", "retry_after"):
            value = self.options.get(name, 1)
            is_word = name == "status" and self.name == "contradicts"
            if not is_word and not (
                isinstance(value, int | float) and 0 <= value < 1e6
            ):
                raise Refused({name: ["must be a number"]})
        return self


def read_fault(text: str) -> Fault:
    """Return the fault that `ENDPOINT:FAULT[:TIMES][,OPTION=VALUE…]` names.

    Raises:
        Refused: the text names none.
    """
    what, *given = text.split(",")
    endpoint, _, rest = what.partition(":")
    name, _, times = rest.partition(":")
    if times and not (times.isascii() and times.isdigit()):
        raise Refused({"times": ["must be a number above 0"]})
    options: dict[str, Any] = {}
    for option in given:
        key, _, value = option.partition("=")
        try:
            options[key] = json.loads(value)
        except ValueError:
            options[key] = value
    count = int(times[:9]) if times else None
    return Fault(endpoint=endpoint, name=name, times=count, options=options).check()


class Faults:
    """The faults that are armed. Not kept over a restart: a restart heals."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[Fault] = []

    def arm(self, fault: Fault) -> None:
        """Arm a fault.

        Raises:
            Refused: there is no such fault.
        """
        fault.check()
        with self._lock:
            self._armed.append(fault)

    def clear(self, *, endpoint: str | None = None, name: str | None = None) -> None:
        """Disarm all faults, or those of an endpoint or a name."""
        with self._lock:
            self._armed = [
                fault
                for fault in self._armed
                if (endpoint is not None and fault.endpoint != endpoint)
                or (name is not None and fault.name != name)
            ]

    def take(self, endpoint: str) -> list[Fault]:
        """Return the faults of an endpoint, counting each of them down."""
        taken = []
        with self._lock:
            for fault in self._armed:
                if endpoint not in GROUPS.get(fault.endpoint, (fault.endpoint,)):
                    continue
                if (skip := int(fault.options.get("skip", 0))) > 0:
                    # So many requests it lets pass first.
                    fault.options["skip"] = skip - 1
                    continue
                taken.append(fault)
                if fault.times is not None:
                    fault.times -= 1
            self._armed = [fault for fault in self._armed if fault.times != 0]
        return taken

    def armed(self) -> list[dict[str, Any]]:
        """Return the armed faults as JSON values."""
        with self._lock:
            return [asdict(fault) for fault in self._armed]


def answer(
    faults: list[Fault],
    process: Callable[[], Reply],
    *,
    later: Callable[[float, Callable[[], Any]], None],
) -> Reply:
    """Return the answer to a request as the faults leave it.

    Args:
        later: calls a function after so many seconds.
    """
    for fault in faults:
        if fault.name in BEFORE:
            return BEFORE[fault.name](fault.options)
        if fault.name == PROCESSED_LATE:
            seconds = float(fault.options.get("seconds", 2))
            later(seconds, process)
            return Reply(cut_after=0)
    reply = process()
    for fault in faults:
        if fault.name in AFTER:
            reply = AFTER[fault.name](reply, fault.options)
    return reply
