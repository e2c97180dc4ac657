from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from credits_project.exceptions import DomainError
from wallets import services
from wallets.management.arguments import add_key, credits, dry_run, user_of
from wallets.services.transfers import TRANSFER_TYPES


class Command(BaseCommand):
    help = (
        "Move credits from one user's wallet to another's."
        " With --key it happens once, however often it is run."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", help="who pays: user id, e-mail or username")
        parser.add_argument("target", help="who receives: user id, e-mail or username")
        parser.add_argument("amount", type=credits, help="credits, like 12.50")
        parser.add_argument(
            "--type", choices=TRANSFER_TYPES, default="transfer", dest="kind"
        )
        parser.add_argument("--description", default="")
        add_key(parser)

    def handle(self, **options: Any) -> None:
        source, target = user_of(options["source"]), user_of(options["target"])
        try:
            with dry_run(on=options["dry_run"]):
                transfer = services.transfer_credits(
                    from_user_id=source.pk,
                    to_user_id=target.pk,
                    amount=options["amount"],
                    transaction_type=options["kind"],
                    description=options["description"],
                    key=options["key"],
                )
        except DomainError as error:
            raise CommandError(str(error)) from error
        if options["dry_run"]:
            self.stdout.write("Nothing was written. It would be:")
        elif transfer.is_replay:
            self.stdout.write("This key was booked before:")
        self.stdout.write(f"transfer {transfer.pk} ({transfer.key})")
        for user, leg in zip((source, target), transfer.legs, strict=True):
            self.stdout.write(
                f"  {user}: {leg.balance_before} {leg.amount:+} = {leg.balance_after}"
            )
