"""The reasons why some changes survive are about code that is there."""

from __future__ import annotations

import importlib
import inspect
from collections import Counter

import pytest

from tests.proof import survivors
from tests.proof.survivors import Change

_REASONS = list(survivors.reasons())


def _source_of(function: str) -> str:
    """Return the source of what a dotted name means."""
    parts = function.split(".")
    for end in range(len(parts) - 1, 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for name in parts[end:]:
            found = getattr(found, name)
        return inspect.getsource(found)
    raise AssertionError(f"{function} is in no module")


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines()]


@pytest.mark.parametrize(
    "change",
    [change for reason in _REASONS for change in reason.changes],
    ids=lambda change: change.function.rpartition(".")[2],
)
def test_every_reason_is_about_lines_that_the_function_has(change: Change):
    before = _lines(change.before)
    source = _lines(_source_of(change.function))

    assert before
    assert any(
        source[start : start + len(before)] == before for start in range(len(source))
    )


def test_every_reason_is_a_sentence():
    assert all(
        reason.changes and reason.text.count(" ") > 3 and reason.text.endswith(".")
        for reason in _REASONS
    )


def test_survivors_without_a_reason_and_reasons_without_one_are_told():
    known = Change(function="a.b", before="x = 1", after="x = 2")
    new = Change(function="a.b", before="x = 1", after="x = None")
    old = Change(function="a.c", before="return 1", after="return 2")

    told = survivors.differences(Counter([known, new]), Counter([known, old]))

    assert told == [
        "survives without a reason: a.b\n    - x = 1\n    + x = None",
        "has a reason and is noticed: a.c\n    - return 1\n    + return 2",
    ]


def test_of_two_equal_lines_each_needs_its_reason():
    change = Change(function="a.b", before="x = 1", after="x = 2")

    assert survivors.differences(Counter([change, change]), Counter([change]))


def test_a_change_is_what_the_diff_takes_away_and_puts_there():
    diff = "\n".join(
        [
            "--- a.py",
            "+++ a.py",
            "@@ -1,3 +1,3 @@",
            " def b():",
            "-    x = 1",
            "+    x = 2",
            "     return x",
        ]
    )

    assert survivors.change_of("a.b", diff) == Change(
        function="a.b", before="x = 1", after="x = 2"
    )
