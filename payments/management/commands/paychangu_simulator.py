"""Run the gateway's stand-in."""

from __future__ import annotations

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from payments.simulator import cli


class Command(BaseCommand):
    """Parses, runs, reports."""

    help = (
        "Run a stand-in for PayChangu on this machine, until Ctrl-C: hosted checkout"
        " pages, the API, signed webhooks, payouts, and faults on demand. Touches"
        " nothing of this system but the webhook address it is given."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the simulator's options; its keys from the environment if there.

        Arguments can be read by everybody on the machine, the environment cannot.
        """
        cli.add_arguments(parser)
        for name in ("secret_key", "webhook_secret"):
            if key := os.environ.get(f"PAYCHANGU_{name.upper()}", "").strip():
                parser.set_defaults(**{name: key})

    def handle(self, *_: Any, **options: Any) -> None:
        """Serve until told to stop."""

        def write(line: str) -> None:
            self.stdout.write(line)
            self.stdout.flush()

        try:
            cli.run(options, write=write)
        except OSError as error:
            raise CommandError(cli.complaint(options, error)) from error
