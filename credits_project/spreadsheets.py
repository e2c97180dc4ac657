"""Text that goes into a spreadsheet and must not be run there."""

from __future__ import annotations

import unicodedata

# What spreadsheets take for the beginning of a formula, or strip before they look.
_STARTS = tuple("=+-@\t\r\n")


def defused(text: str) -> str:
    """Return `text` so that a spreadsheet shows it and never runs it.

    An apostrophe in front makes it text. Full-width forms count as what they look like:
    some spreadsheets fold them. Amounts are numbers of ours and do not pass here.
    """
    folded = unicodedata.normalize("NFKC", text.lstrip(" \u00a0\u200b\ufeff"))
    risky = text.startswith(_STARTS) or folded.startswith(_STARTS)
    return f"'{text}" if risky else text
