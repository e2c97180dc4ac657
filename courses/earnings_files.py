"""Earnings statements as files: CSV with every sale, PDF with what courses brought."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from fpdf import FPDF
from fpdf.enums import Align, TableBordersLayout
from fpdf.table import Table

from courses.earnings import CourseTotal, EarningsStatement, earnings_statement
from credits_project.spreadsheets import defused
from wallets.periods import month_of
from wallets.statement_files import CsvLines, latin, time_text

_COLUMNS = (
    "time",
    "kind",
    "course",
    "enrollment",
    "commission_rate",
    "price",
    "fee",
    "paid_by_platform",
    "earnings",
    "earned",
)


def answer(
    *, coach: Any, month: str | None, form: Literal["csv", "pdf"]
) -> HttpResponseBase:
    """Return the coach's statement of a month, `2026-11` or this one, to be saved."""
    begins = timezone.now()
    if month is not None:
        begins = datetime(int(month[:4]), int(month[5:]), 1, tzinfo=UTC)
    start, end = month_of(begins)
    statement = earnings_statement(coach=coach, start=start, end=end)
    name = f'attachment; filename="earnings-{start:%Y-%m}.{form}"'
    headers = {"Content-Disposition": name}
    if form == "pdf":
        content = pdf(statement, holder=coach.get_full_name() or coach.email)
        return HttpResponse(content, headers=headers, content_type="application/pdf")
    return StreamingHttpResponse(
        csv_lines(statement), headers=headers, content_type="text/csv; charset=utf-8"
    )


def csv_lines(statement: EarningsStatement) -> Iterator[str]:
    """Yield the statement as CSV (RFC 4180): earned before, rows, earned at the end."""
    writer = csv.writer(CsvLines())
    yield "\ufeff"  # Spreadsheets take a file without it for an old encoding.
    yield writer.writerow(_COLUMNS)
    blank = [""] * 7
    opening = f"{statement.opening:.2f}"
    yield writer.writerow(
        [time_text(statement.start), "earned_before", *blank, opening]
    )
    for row in statement.iterate():
        yield writer.writerow(
            [
                time_text(row.at),
                row.kind,
                defused(row.title),
                row.enrollment_id,
                f"{row.commission_rate:.4f}",
                f"{row.price:.2f}",
                f"{row.fee:.2f}",
                f"{row.paid_by_platform:.2f}",
                f"{row.earnings:.2f}",
                f"{statement.closing:.2f}",
            ]
        )
    closing = f"{statement.closing:.2f}"
    yield writer.writerow([time_text(statement.end), "earned_until", *blank, closing])


def pdf(statement: EarningsStatement, *, holder: str) -> bytes:
    """Return the statement as a PDF of A4 pages; `holder` is the name to print."""
    for _ in statement.iterate():
        # Its totals are known at the end.
        pass
    document = FPDF(format="A4")
    document.set_title("Statement of earnings")
    document.set_auto_page_break(auto=True, margin=15)
    document.add_page()
    document.set_font("Helvetica", "B", 16)
    document.cell(text="Statement of earnings", new_x="LMARGIN", new_y="NEXT", h=10)
    document.set_font("Helvetica", size=9)
    for line in (
        latin(holder),
        f"From {time_text(statement.start)} up to {time_text(statement.end)} (UTC)",
        "Amounts are in credits; refunds are taken off.",
    ):
        document.cell(text=line, new_x="LMARGIN", new_y="NEXT", h=5)
    document.ln(4)
    _table(document, statement)
    return bytes(document.output())


def _table(document: FPDF, statement: EarningsStatement) -> None:
    with document.table(
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        col_widths=(50, 13, 15, 22, 22, 24, 24),
        text_align=(Align.L, *[Align.R] * 6),
        line_height=5,
        padding=0.5,
    ) as table:
        table.row(
            [
                "Course",
                "Sales",
                "Refunds",
                "Prices",
                "Commission",
                "Paid by the platform",
                "Earnings",
            ]
        )
        blank = [""] * 5
        table.row(["Earned before", *blank, f"{statement.opening:,.2f}"])
        for course in sorted(statement.courses.values(), key=lambda one: one.title):
            _row(table, course)
        _row(table, statement.total())
        table.row(["Earned until the end", *blank, f"{statement.closing:,.2f}"])


def _row(table: Table, course: CourseTotal) -> None:
    table.row(
        [
            latin(course.title),
            str(course.sales),
            str(course.refunds),
            f"{course.price:,.2f}",
            f"{course.fee:,.2f}",
            f"{course.paid_by_platform:,.2f}",
            f"{course.earnings:,.2f}",
        ]
    )
