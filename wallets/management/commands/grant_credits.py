from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from credits_project.exceptions import DomainError
from wallets import services
from wallets.management.arguments import add_key, credits, dry_run, user_of


class Command(BaseCommand):
    help = (
        "Give a user credits out of the promotions, or correct a balance with"
        " --adjustment. With --key it happens once, however often it is run."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", help="user id, e-mail or username")
        parser.add_argument("amount", type=credits, help="credits, like 12.50")
        parser.add_argument("--reason", required=True, help="what it is for")
        parser.add_argument(
            "--adjustment",
            action="store_true",
            help="book a correction, which may be below zero, instead of a bonus",
        )
        add_key(parser)

    def handle(self, **options: Any) -> None:
        user = user_of(options["user"])
        try:
            with dry_run(on=options["dry_run"]):
                transfer = services.grant_credits(
                    user_id=user.pk,
                    amount=options["amount"],
                    reason=options["reason"],
                    transaction_type="adjustment" if options["adjustment"] else "bonus",
                    key=options["key"],
                )
        except DomainError as error:
            raise CommandError(str(error)) from error
        if options["dry_run"]:
            self.stdout.write("Nothing was written. It would be:")
        elif transfer.is_replay:
            self.stdout.write("This key was booked before:")
        leg = transfer.legs[0]
        self.stdout.write(f"transfer {transfer.pk} ({transfer.key})")
        self.stdout.write(
            f"  {user}: {leg.balance_before} {leg.amount:+} = {leg.balance_after}"
        )
