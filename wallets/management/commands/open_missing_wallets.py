from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand

from wallets import services


class Command(BaseCommand):
    help = (
        "Open a wallet for every user who has none, as after bulk_create or raw SQL."
        " Safe to run again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="count them and open none"
        )

    def handle(self, **options: Any) -> None:
        if options["dry_run"]:
            users = get_user_model()._default_manager.filter(wallet__isnull=True)
            self.stdout.write(f"{users.count()} wallet(s) would be opened.")
        else:
            self.stdout.write(f"{services.open_missing_wallets()} wallet(s) opened.")
