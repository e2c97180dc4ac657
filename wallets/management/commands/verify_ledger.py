from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from wallets import proof, seals


class Command(BaseCommand):
    help = (
        "Check every invariant of the books and the database's guards; with --seals"
        " also that history is as it was sealed."
        " Changes nothing; prints a line for each break and exits 1 if there is one."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--json", action="store_true", help="print one JSON document instead"
        )
        parser.add_argument(
            "--seals",
            action="store_true",
            help="recompute every seal from the rows, with LEDGER_SEAL_KEY, and compare"
            " the table of seals with LEDGER_SEAL_FILE",
        )
        parser.add_argument(
            "--since-seal",
            action="store_true",
            help="look only at what was touched since the last seal; says what it"
            " relied on",
        )

    def handle(self, **options: Any) -> None:
        found = seals.Findings()
        checks = [check.invariant for check in proof.all_checks()]
        since = seals.since_last_seal(found) if options["since_seal"] else None
        shows_progress = (
            self.stdout.isatty() and options["verbosity"] and not options["json"]
        )

        def progress(line: str) -> None:
            if shows_progress:
                self.stdout.write(f"checking {line}")

        found.breaks.extend(proof.breaks(since=since, progress=progress))
        if options["seals"]:
            sealed = seals.verify_seals(progress=progress)
            found.breaks.extend(sealed.breaks)
            found.notes.extend(sealed.notes)
            checks.append("I16")
        if options["json"]:
            self._answer_in_json(found, checks, since)
        else:
            self._answer(found)
        if found.breaks:
            # Not CommandError: the lines above are the answer, and say all there is.
            sys.exit(1)

    def _answer(self, found: seals.Findings) -> None:
        for wrong in found.breaks:
            self.stderr.write(f"{wrong.invariant} {wrong.subject}: {wrong.detail}")
        for note in found.notes:
            self.stdout.write(note)
        if not found.breaks:
            self.stdout.write(self.style.SUCCESS("The books are right."))

    def _answer_in_json(
        self, found: seals.Findings, checks: list[str], since: proof.Since | None
    ) -> None:
        answer = {
            "sound": not found.breaks,
            "checks": checks,
            "since": None if since is None else asdict(since),
            "breaks": [asdict(wrong) for wrong in found.breaks],
            "notes": found.notes,
        }
        self.stdout.write(json.dumps(answer))
