from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from wallets import proof


class Command(BaseCommand):
    help = (
        "Check every invariant of the books and the database's guards."
        " Changes nothing; prints a line for each break and exits 1 if there is one."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--json", action="store_true", help="print one JSON document instead"
        )

    def handle(self, **options: Any) -> None:
        quiet = options["json"] or options["verbosity"] == 0
        breaks = proof.breaks(
            progress=lambda line: (
                None if quiet else self.stdout.write(f"checking {line}")
            )
        )
        if options["json"]:
            self.stdout.write(
                json.dumps(
                    {
                        "sound": not breaks,
                        "checks": [check.invariant for check in proof.all_checks()],
                        "breaks": [asdict(found) for found in breaks],
                    }
                )
            )
        else:
            for found in breaks:
                self.stderr.write(f"{found.invariant} {found.subject}: {found.detail}")
            if not breaks:
                self.stdout.write(self.style.SUCCESS("The books are right."))
        if breaks:
            # Not CommandError: the lines above are the answer, and say all there is.
            sys.exit(1)
