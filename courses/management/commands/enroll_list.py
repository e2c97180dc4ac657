from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from courses.management.lists import add_list_arguments, carry_out
from courses.models import BulkRun, Course
from wallets.management.arguments import user_of


class Command(BaseCommand):
    help = (
        "Enroll each person of a CSV file (person) in a course, out of a sponsor's"
        " wallet. The same file again goes on where it ended and enrolls nobody twice."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_list_arguments(parser)
        parser.add_argument("--course", required=True, help="slug or id")
        parser.add_argument(
            "--sponsor", required=True, help="who pays: user id, e-mail or username"
        )

    def handle(self, **options: Any) -> None:
        course = Course.objects.named(options["course"]).first()
        if course is None:
            raise CommandError(f"{options['course']!r} names no course.")
        carry_out(
            self,
            options,
            kind=BulkRun.Kind.ENROLL,
            course_id=course.pk,
            sponsor_id=user_of(options["sponsor"]).pk,
        )
