"""Lists for tests, given in and carried out."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from courses import services
from courses.models import BulkRow, BulkRun, Course
from courses.services import Line


def lines_of(people: list[Any], amount: str = "0.00") -> list[Line]:
    """A line for each user, by the e-mail address, or for each text as it is."""
    return [
        Line(
            number=number,
            person=person if isinstance(person, str) else person.email,
            amount=Decimal(amount),
        )
        for number, person in enumerate(people, start=2)
    ]


def give_bonus(people: list[Any], amount: str = "5.00", **options: Any) -> BulkRun:
    """Give in a list of bonuses."""
    return services.give_in_list(
        kind="bonus",
        lines=lines_of(people, amount),
        **{"reason": "Prize of the week", **options},
    )


def give_places(
    people: list[Any], course: Course, sponsor: Any, **options: Any
) -> BulkRun:
    """Give in a list of people to be enrolled at the sponsor's cost."""
    return services.give_in_list(
        kind="enroll",
        lines=lines_of(people),
        course_id=course.pk,
        sponsor_id=sponsor.pk,
        **{"reason": "Trained by their employer", **options},
    )


def carry_out(run: BulkRun, **options: Any) -> BulkRun:
    return services.carry_out_list(run_id=run.pk, **options)


def told(run: BulkRun) -> list[tuple[int, str, str]]:
    """What came of each line."""
    rows = BulkRow.objects.filter(run=run).order_by("line")
    return list(rows.values_list("line", "status", "detail"))


def statuses(run: BulkRun) -> list[str]:
    return [status for _, status, _ in told(run)]
