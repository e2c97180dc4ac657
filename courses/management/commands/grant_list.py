from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from courses.management.lists import add_list_arguments, carry_out
from courses.models import BulkRun


class Command(BaseCommand):
    help = (
        "Give each person of a CSV file (person,amount) a bonus out of the promotions."
        " The same file again goes on where it ended and gives nothing twice; another"
        " --name makes it another list."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_list_arguments(parser)

    def handle(self, **options: Any) -> None:
        carry_out(self, options, kind=BulkRun.Kind.BONUS)
