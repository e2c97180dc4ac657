from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from credits_project import demo


class Command(BaseCommand):
    help = (
        "Fill an empty database with a small marketplace: accounts of every role,"
        " packages, courses, some history. Again it adds only what is missing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--print-accounts",
            action="store_true",
            help="print the demo's accounts with their passwords, and load nothing",
        )
        parser.add_argument(
            "--force",
            action="store_true",
            help="load it beside users who are not the demo's",
        )

    def handle(self, **options: Any) -> None:
        if options["print_accounts"]:
            self._print_accounts()
            return
        try:
            made = demo.load(force=options["force"])
        except demo.ForeignUsers as error:
            raise CommandError(
                "this database has users of its own, and the demo would add an"
                " administrator to it: nothing was loaded (--force loads it)."
            ) from error
        if options["verbosity"] > 0:
            new = ", ".join(f"{count} {kind}" for kind, count in made.items() if count)
            self.stdout.write(f"Loaded {new}." if new else "The demo is loaded.")

    def _print_accounts(self) -> None:
        rows = [
            (account.role, account.email, password or "(changed since)")
            for account, password in demo.accounts()
        ]
        if not rows:
            raise CommandError("there are no demo accounts; load_demo makes them.")
        rows.insert(0, ("role", "e-mail", "password"))
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        for role, email, password in rows:
            self.stdout.write(f"{role:<{widths[0]}}  {email:<{widths[1]}}  {password}")
