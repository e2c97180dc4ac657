"""Statements as files: CSV for spreadsheets, PDF for people."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Iterator
from datetime import datetime

from fpdf import FPDF
from fpdf.enums import Align, TableBordersLayout

from credits_project.spreadsheets import defused
from wallets.models import CreditTransaction
from wallets.selectors import Statement

_COLUMNS = (
    "sequence",
    "time",
    "type",
    "description",
    "amount",
    "balance_before",
    "balance_after",
)


class CsvLines:
    """A file for `csv.writer` that hands each line on instead of keeping it."""

    def write(self, line: str) -> str:
        """Return the line that `csv.writer` made."""
        return line


def csv_lines(statement: Statement) -> Iterator[str]:
    """Yield the statement as CSV (RFC 4180): opening balance, rows, closing balance."""
    writer = csv.writer(CsvLines())
    yield "\ufeff"  # Spreadsheets take a file without it for an old encoding.
    yield writer.writerow(_COLUMNS)
    opening = f"{statement.opening:.2f}"
    yield writer.writerow(
        ["", time_text(statement.start), "opening_balance", "", "", "", opening]
    )
    for row in statement.iterate():
        yield writer.writerow(
            [
                row.sequence,
                time_text(row.created_at),
                row.transaction_type,
                defused(row.transfer.description),
                f"{row.amount:.2f}",
                f"{row.balance_before:.2f}",
                f"{row.balance_after:.2f}",
            ]
        )
    closing = f"{statement.closing:.2f}"
    yield writer.writerow(
        ["", time_text(statement.end), "closing_balance", "", "", "", closing]
    )


def pdf(statement: Statement, *, holder: str) -> bytes:
    """Return the statement as a PDF of A4 pages; `holder` is the name to print."""
    document = FPDF(format="A4")
    document.set_title("Statement of credits")
    document.set_auto_page_break(auto=True, margin=15)
    document.add_page()
    document.set_font("Helvetica", "B", 16)
    document.cell(text="Statement of credits", new_x="LMARGIN", new_y="NEXT", h=10)
    document.set_font("Helvetica", size=9)
    for line in (
        latin(holder),
        f"Wallet {statement.wallet.pk}",
        f"From {time_text(statement.start)} up to {time_text(statement.end)} (UTC)",
    ):
        document.cell(text=line, new_x="LMARGIN", new_y="NEXT", h=5)
    document.ln(4)
    _table(document, statement)
    return bytes(document.output())


def _table(document: FPDF, statement: Statement) -> None:
    with document.table(
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        col_widths=(8, 22, 22, 44, 17, 19),
        text_align=(Align.R, Align.L, Align.L, Align.L, Align.R, Align.R),
        line_height=5,
        padding=0.5,
    ) as table:
        table.row(["No.", "Time", "Type", "Description", "Amount", "Balance"])
        opening = f"{statement.opening:,.2f}"
        table.row(["", _minute(statement.start), "Opening balance", "", "", opening])
        for row in statement.iterate():
            table.row(_cells(row))
        closing = f"{statement.closing:,.2f}"
        table.row(["", _minute(statement.end), "Closing balance", "", "", closing])


def _cells(row: CreditTransaction) -> list[str]:
    return [
        str(row.sequence),
        _minute(row.created_at),
        row.transaction_type.replace("_", " "),
        latin(row.transfer.description),
        f"{row.amount:+,.2f}",
        f"{row.balance_after:,.2f}",
    ]


def time_text(moment: datetime) -> str:
    """Return the moment as files have it, in UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _minute(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M")


def latin(text: str) -> str:
    """Return `text` in the letters that the PDF's built-in font has."""
    decomposed = "".join(
        character
        if character.encode("latin-1", "ignore")
        else unicodedata.normalize("NFKD", character)
        for character in text
    )
    bare = "".join(c for c in decomposed if not unicodedata.combining(c))
    return bare.encode("latin-1", "replace").decode("latin-1")
