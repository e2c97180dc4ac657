from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from wallets import seals


class Command(BaseCommand):
    help = (
        "Seal what was posted since the last seal: a digest with LEDGER_SEAL_KEY over"
        " every row, added to the table credit_seals and to LEDGER_SEAL_FILE."
        " Keeps no posting waiting; safe to run again. verify_ledger --seals checks."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--complete-file",
            action="store_true",
            help="write all earlier seals that the file lacks, as for a new file",
        )

    def handle(self, **options: Any) -> None:
        try:
            made = seals.seal_ledger(
                complete_file=options["complete_file"],
                progress=lambda line: (
                    self.stdout.write(line) if self.stdout.isatty() else None
                ),
            )
        except seals.SealError as error:
            raise CommandError(str(error)) from error
        if not settings.LEDGER_SEAL_FILE:
            self.stderr.write(
                "LEDGER_SEAL_FILE is not set: nobody would notice if the newest seals"
                " were removed."
            )
        for seal in made:
            self.stdout.write(
                f"seal {seal.number}: {seal.transactions} transactions up to"
                f" {seal.last_id}, {seal.digest}"
            )
        if not made:
            self.stdout.write("Nothing was posted since the last seal.")
