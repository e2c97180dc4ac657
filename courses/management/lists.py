"""What the commands that carry out lists have in common."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from courses import services
from courses.bulk_files import read_list, report_lines
from courses.models import BulkRow, BulkRun
from courses.services import ListRefused
from credits_project.exceptions import DomainError


def add_list_arguments(parser: ArgumentParser) -> None:
    """Add what every list has."""
    parser.add_argument("file", type=Path, help="CSV in UTF-8 with a heading")
    parser.add_argument("--reason", required=True, help="what it is for")
    parser.add_argument(
        "--name", default="", help="names the list for ever; from its content if absent"
    )
    parser.add_argument(
        "--all-or-nothing", action="store_true", help="all lines, or none of them"
    )
    parser.add_argument("--report", type=Path, help="takes what came of each line, CSV")
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be, and write nothing"
    )


def carry_out(command: BaseCommand, options: dict[str, Any], **about: Any) -> None:
    """Carry a list out, or go on with it, and tell what came of it.

    Raises:
        CommandError: it was refused or stopped, or lines were refused.
    """
    try:
        lines = read_list(options["file"].read_bytes(), kind=about["kind"])
        given = {
            "lines": lines,
            "reason": options["reason"],
            "name": options["name"],
            "all_or_nothing": options["all_or_nothing"],
            **about,
        }
        if options["dry_run"]:
            _try(command, options, given)
        else:
            _do(command, options, given)
    except OSError as error:
        raise CommandError(str(error)) from error
    except ListRefused as refusal:
        for number, detail in sorted(refusal.lines.items()):
            command.stderr.write(f"line {number}: {detail}")
        raise CommandError(str(refusal)) from refusal
    except DomainError as error:
        raise CommandError(f"{error} Give the list in again to go on.") from error


def _do(command: BaseCommand, options: dict[str, Any], given: dict[str, Any]) -> None:
    run = services.give_in_list(**given)
    if run.is_replay:
        command.stdout.write("This list was given in before; going on with it.")
        # Told in this order also where both streams go to one file.
        command.stdout.flush()
    try:
        services.carry_out_list(run_id=run.pk)
    finally:
        _tell(command, run, options["report"])
    _check(run)


def _try(command: BaseCommand, options: dict[str, Any], given: dict[str, Any]) -> None:
    with transaction.atomic():
        run = services.give_in_list(**given)
        services.carry_out_list(run_id=run.pk)
        command.stdout.write("Nothing was written. It would be:")
        _tell(command, run, options["report"])
        transaction.set_rollback(True)


def _tell(command: BaseCommand, run: BulkRun, report: Path | None) -> None:
    rows = BulkRow.objects.filter(run=run)
    for row in rows.filter(status=BulkRow.Status.REFUSED).order_by("line"):
        command.stderr.write(f"line {row.line}: {row.person}: {row.detail}")
    counts = ", ".join(
        f"{rows.filter(status=status).count()} {status}"
        for status in BulkRow.Status.values
    )
    command.stdout.write(f"list {run.name}: {counts}")
    command.stdout.flush()
    if report is not None:
        report.write_text("".join(report_lines(run)), encoding="utf-8", newline="")


def _check(run: BulkRun) -> None:
    refused = BulkRow.objects.filter(run=run, status=BulkRow.Status.REFUSED).count()
    if refused:
        raise CommandError(f"{refused} line(s) were refused.")
