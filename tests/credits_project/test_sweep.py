from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from courses.services import enroll_with_credits
from tests.courses.offers import make_course
from tests.factories import make_coach, make_user, wallet_of


def run(*arguments: str) -> dict[str, int]:
    output = io.StringIO()
    call_command("sweep", *arguments, stdout=output)
    lines = [line.split(": ") for line in output.getvalue().splitlines()]
    return {kind: int(count) for kind, count in lines}


@pytest.mark.parametrize("arguments", [(), ("--now",)])
def test_with_nothing_to_do_every_kind_of_work_is_told_as_none(committed, arguments):
    assert run(*arguments) == {
        "holds released": 0,
        "events": 0,
        "purchases": 0,
        "payouts sent": 0,
        "payouts looked up": 0,
    }


def test_matured_earnings_are_released_and_others_keep_their_time(committed, settings):
    settings.REFUND_WINDOW_DAYS = 14
    matured, fresh = make_coach(), make_coach()
    for coach, days in ((matured, 15), (fresh, 13)):
        enroll_with_credits(
            learner=make_user(balance="100.00"),
            course_id=make_course(coach).pk,
            now=timezone.now() - timedelta(days=days),
        )

    assert run("--now")["holds released"] == 1

    assert wallet_of(matured).available == 100
    assert wallet_of(fresh).available == 0
