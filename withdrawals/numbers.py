"""Account numbers as people write them, brought into the one form that is kept."""

from __future__ import annotations

import re
from typing import Final

from django.views.decorators.debug import sensitive_variables

from credits_project.exceptions import InvalidInput, UnknownReference
from payments.gateway import Destination
from withdrawals.models import MethodKind

_MOBILE: Final = re.compile(r"(?:\+?265|0)?([0-9]{9})", re.ASCII)
_BANK: Final = re.compile(r"[0-9]{5,20}", re.ASCII)
# What a number of the operator begins with, by a word of the operator's name.
_PREFIXES: Final = {"airtel": ("99", "98"), "tnm": ("88", "89")}
_FIELD: Final = "account_number"


@sensitive_variables("text")
def normalized(text: str, *, destination: Destination) -> str:
    """Return the number as it is kept: 9 digits of a phone, or a bank's digits.

    Phones are taken as 0991234567, 991234567, 265991234567 or +265991234567.

    Raises:
        InvalidInput: it is no number of an account.
        UnknownReference: it is one of another operator.
    """
    if destination.kind.value == MethodKind.BANK.value:
        if not _BANK.fullmatch(text):
            raise InvalidInput(_FIELD, "An account number has 5 to 20 digits.")
        return text
    found = _MOBILE.fullmatch(text)
    if found is None:
        raise InvalidInput(_FIELD, "A phone number looks like 0991234567.")
    number = found[1]
    prefixes = _prefixes(destination)
    if not number.startswith(prefixes):
        starts = " or ".join(f"0{prefix}" for prefix in prefixes)
        raise UnknownReference(
            _FIELD, f"A number of {destination.name} begins with {starts}."
        )
    return number


def _prefixes(destination: Destination) -> tuple[str, ...]:
    words = f"{destination.name} {destination.short_code}".lower()
    for word, prefixes in _PREFIXES.items():
        if word in words:
            return prefixes
    # An operator that is new to us: any Malawian mobile number.
    return tuple(prefix for prefixes in _PREFIXES.values() for prefix in prefixes)
