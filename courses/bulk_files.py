"""Lists as CSV: what staff give in, and the report that they get back."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Final

from courses.models import BulkRow, BulkRun
from courses.services.bulk import LONGEST, Line
from credits_project.exceptions import InvalidInput
from credits_project.money import ZERO
from credits_project.spreadsheets import defused

LARGEST_BYTES: Final = 1_000_000
COLUMNS: Final = {
    BulkRun.Kind.ENROLL: ("person",),
    BulkRun.Kind.BONUS: ("person", "amount"),
}
_REPORT: Final = ("line", "person", "amount", "status", "detail", "made")


def read_list(content: bytes, *, kind: str) -> list[Line]:
    """Return the lines of a CSV file (UTF-8, with a heading).

    The heading is `person`, and `amount` in a list of bonuses; a person is an e-mail
    address, a username or an id. Empty lines are left out.

    Raises:
        InvalidInput: no such file, with the number of the line that is wrong.
    """
    expected = COLUMNS[BulkRun.Kind(kind)]
    if len(content) > LARGEST_BYTES:
        raise _wrong(f"The file has more than {LARGEST_BYTES} bytes.")
    try:
        # Spreadsheets put a mark in front, and some of them a NUL into an empty file.
        text = content.decode("utf-8-sig")
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise _wrong("The file is no CSV in UTF-8.") from error
    if "\x00" in text:
        raise _wrong("The file is no text.")
    heading = tuple(cell.strip().lower() for cell in rows[0]) if rows else ()
    if heading != expected:
        raise _wrong(f"The first line has to be: {','.join(expected)}")
    if len(rows) > LONGEST + 1_000:
        raise _wrong(f"The file has more than {LONGEST} lines.")
    return [
        _line(number, [cell.strip() for cell in row], len(expected))
        for number, row in enumerate(rows[1:], start=2)
        if any(cell.strip() for cell in row)
    ]


def report_lines(run: BulkRun) -> Iterator[str]:
    """Yield what came of each line, as CSV (RFC 4180)."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    yield "\ufeff"  # Spreadsheets take a file without it for an old encoding.
    writer.writerow(_REPORT)
    for row in BulkRow.objects.filter(run=run).order_by("line").iterator():
        made = row.enrollment_id or row.transfer_id or ""
        writer.writerow(
            [
                row.line,
                defused(row.person),
                f"{row.amount:.2f}" if run.kind == BulkRun.Kind.BONUS else "",
                row.status,
                defused(row.detail),
                made,
            ]
        )
        yield _taken_out(buffer)
    yield _taken_out(buffer)


def _line(number: int, cells: list[str], columns: int) -> Line:
    if len(cells) != columns or not cells[0]:
        raise _wrong(f"Line {number} does not have {columns} column(s).")
    if len(cells[0]) > 254:
        raise _wrong(f"Line {number}: no person has so long a name.")
    amount = ZERO
    if columns == 2:
        try:
            amount = Decimal(cells[1])
        except InvalidOperation as error:
            raise _wrong(f"Line {number}: {cells[1][:40]!r} is no number.") from error
        if not cells[1].isascii() or not amount.is_finite() or abs(amount) >= 10**12:
            raise _wrong(f"Line {number}: {cells[1][:40]!r} is no amount.")
        if "e" in cells[1].lower() or "_" in cells[1]:
            raise _wrong(f"Line {number}: {cells[1][:40]!r} is no plain number.")
    return Line(number=number, person=cells[0], amount=amount)


def _taken_out(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def _wrong(detail: str) -> InvalidInput:
    return InvalidInput("file", detail)
