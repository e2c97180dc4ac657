from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_date

from payments import services
from payments.gateway import GatewayUnavailable, events_registry


class Command(BaseCommand):
    help = (
        "Compare the purchases and payouts of a period with the gateway's, asking it"
        " about each. Changes nothing; prints a line for each difference and exits 1 if"
        " there is one, and 2 where the gateway does not answer."
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
        found = 0
        try:
            for difference in services.differences(start=start, end=end):
                found += 1
                self.stderr.write(f"purchase {difference.tx_ref}: {difference.detail}")
            for line in events_registry.reconcile_payouts(start, end):
                found += 1
                self.stderr.write(line)
        except GatewayUnavailable as error:
            raise CommandError(f"Not compared: {error}", returncode=2) from error
        if found:
            raise CommandError(f"{found} difference(s).")
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
