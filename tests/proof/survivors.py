"""Small changes of the code that no test notices, and why none has to.

`survivors.toml` names them by what they change, as mutmut's own numbers for them move
with every line that is written. `make mutation` compares it with what it finds, and an
ordinary test compares it with the code.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_FILE: Final = Path(__file__).with_name("survivors.toml")


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """Lines of a function that go, and the lines that come for them, without indent."""

    function: str
    before: str
    after: str

    def __str__(self) -> str:
        gone = [f"    - {line}" for line in self.before.splitlines()]
        come = [f"    + {line}" for line in self.after.splitlines()]
        return "\n".join([self.function, *gone, *come])


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """Why no test has to notice some changes of one function."""

    text: str
    changes: tuple[Change, ...]


def reasons() -> Iterator[Reason]:
    """Yield what the file says, in its order."""
    for function, entries in tomllib.loads(_FILE.read_text()).items():
        for entry in entries:
            yield Reason(
                text=entry["reason"],
                changes=tuple(
                    Change(function=function, before=_bare(before), after=_bare(after))
                    for before, after in entry["changes"]
                ),
            )


def explained() -> Counter[Change]:
    """Return the changes that have a reason, and how often each stands there."""
    return Counter(change for reason in reasons() for change in reason.changes)


def change_of(function: str, diff: str) -> Change:
    """Return what a unified diff of one function changes."""
    # Its first two lines name the file.
    lines = diff.splitlines()[2:]
    return Change(
        function=function,
        before=_bare("\n".join(line[1:] for line in lines if line[:1] == "-")),
        after=_bare("\n".join(line[1:] for line in lines if line[:1] == "+")),
    )


def differences(survived: Counter[Change], known: Counter[Change]) -> list[str]:
    """Return what is wrong: survivors without a reason, reasons without a survivor."""
    return [
        *(f"survives without a reason: {change}" for change in survived - known),
        *(f"has a reason and is noticed: {change}" for change in known - survived),
    ]


def _bare(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines())
