from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_date

from payments import services
from payments.gateway import GatewayUnavailable


class Command(BaseCommand):
    help = (
        "Compare the purchases and payouts of a period with the gateway's, both ways,"
        " asking it about each. Changes neither; prints a line for each difference and"
        " keeps it for the console. Exits 1 if there is one, and 2 where the gateway"
        " does not answer."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--from", dest="start", help="first day, YYYY-MM-DD (a week ago)"
        )
        parser.add_argument("--to", dest="end", help="last day, YYYY-MM-DD (today)")

    def handle(self, **options: Any) -> None:
        today = timezone.now().date()
        start = _day(options["start"], default=today - timedelta(days=7))
        end = _day(options["end"], default=today) + timedelta(days=1)
        if start >= end:
            raise CommandError("The first day is after the last.")
        try:
            _, found = services.reconcile(start=start, end=end)
        except GatewayUnavailable as error:
            raise CommandError(f"Not compared: {error}", returncode=2) from error
        for difference in found:
            self.stderr.write(str(difference))
        if found:
            raise CommandError(f"{len(found)} difference(s).")
        self.stdout.write(self.style.SUCCESS("The gateway says the same."))


def _day(text: str | None, *, default: Any) -> datetime:
    """Return the beginning of a day.

    Raises:
        CommandError: it is no day.
    """
    try:
        day = default if text is None else parse_date(text)
    except ValueError:
        day = None
    if day is None:
        raise CommandError(f"{text} is no day: YYYY-MM-DD.")
    return datetime.combine(day, time.min, tzinfo=UTC)
