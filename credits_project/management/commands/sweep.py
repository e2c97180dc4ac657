from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

import payments.services
import wallets.services
import withdrawals.services


class Command(BaseCommand):
    help = (
        "Do all periodic work that is due, once: release matured holds, process events,"
        " ask the gateway about open purchases, send and look up payouts. Needs no"
        " worker and no queue; safe to run beside them."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--now",
            action="store_true",
            help="also what is open and not due yet; holds keep their time",
        )

    def handle(self, **options: Any) -> None:
        now, everything = timezone.now(), options["now"]
        self._report({"holds_released": wallets.services.release_due_holds(now=now)})
        self._report(payments.services.sweep(now=now, everything=everything))
        self._report(withdrawals.services.sweep(now=now, everything=everything))

    def _report(self, done: dict[str, int]) -> None:
        # Told as it happens: a gateway that is slow keeps the next part waiting.
        for kind, count in done.items():
            self.stdout.write(f"{kind.replace('_', ' ')}: {count}")
