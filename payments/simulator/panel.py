"""The faults as the page offers them: those that are wanted often, one button each."""

from __future__ import annotations

from payments.simulator.faults import (
    AFTER,
    BEFORE,
    KNOWN_ELSEWHERE,
    PROCESSED_LATE,
    Fault,
)
from payments.simulator.wire import Refused

# Group, label, endpoint and fault.
PRESETS = (
    ("Webhooks", "Late", "webhook", "delay"),
    ("Webhooks", "Twice", "webhook", "repeated"),
    ("Webhooks", "Ten at once", "webhook", "copies"),
    ("Webhooks", "After the next one", "webhook", "held-back"),
    ("Webhooks", "Forged", "webhook", "forged"),
    ("Webhooks", "Lost", "webhook", "lost"),
    ("Verification", "Slow", "verify", "slow"),
    ("Verification", "Down", "verify", "reset-before"),
    ("Verification", "HTML", "verify", "html-before"),
    ("Verification", "Truncated", "verify", "truncated"),
    ("Verification", "Says unpaid", "verify", "contradicts"),
    ("Verification", "Wrong amount", "verify", "wrong-amount"),
    ("Verification", "Wrong currency", "verify", "wrong-currency"),
    ("Verification", "Wrong mode", "verify", "wrong-mode"),
    ("Payments", "Fail once, then succeed", "attempt", "failed-first"),
    ("Payments", "Checkout down", "checkout", "reset-before"),
    ("Payouts", "Fail", "payout-result", "failed"),
    ("Payouts", "Hang", "payout-result", "pending"),
    ("Payouts", "Answer lost", "payout", "reset-after"),
    ("Everything", "Down", "any", "reset-before"),
)
_COPIES = 10


def groups() -> list[str]:
    """Return the groups of the buttons, in their order."""
    return list(dict.fromkeys(group for group, *_ in PRESETS))


def fault_of(form: dict[str, str]) -> Fault:
    """Return the fault that a form asks for.

    `preset` is `endpoint:fault`, or there are `endpoint` and `fault`; `times`,
    `seconds` and `count` may be empty.

    Raises:
        Refused: there is no such fault, or a number is none.
    """
    endpoint, _, name = form.get("preset", "").partition(":")
    fault = Fault(
        endpoint=endpoint or form.get("endpoint", ""),
        name=name or form.get("fault", ""),
        times=_number(form, "times"),
    )
    seconds, count = _number(form, "seconds"), _number(form, "count")
    if seconds is not None:
        fault.options["seconds"] = seconds
    if count is not None:
        fault.options["count"] = count
    elif fault.name == "copies" and form.get("preset"):
        fault.options["count"] = _COPIES
    return fault.check()


def _number(form: dict[str, str], name: str) -> int | None:
    text = form.get(name, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 6:
        raise Refused({name: ["must be a whole number"]})
    return int(text)


def kinds() -> list[tuple[str, list[str]]]:
    """Return all faults by what they do or what they are for."""
    found = [
        ("The request is not processed", [*BEFORE, PROCESSED_LATE]),
        ("The answer is wrong", [*AFTER]),
    ]
    for endpoint, names in KNOWN_ELSEWHERE.items():
        found.append((f"For {endpoint}", [*names]))
    return [(label, sorted(names)) for label, names in found]
