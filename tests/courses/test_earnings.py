"""What coaches are told of their earnings."""

from __future__ import annotations

import csv
import io
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from courses import services
from courses.earnings import Earning, earnings_statement
from courses.models import Enrollment
from tests.courses.asking import problem, signed_in
from tests.courses.lists import carry_out, give_places
from tests.courses.offers import make_course, spend
from tests.factories import balance_of, make_coach, make_staff, make_user
from wallets.models import CreditTransaction
from wallets.services import grant_credits

pytestmark = pytest.mark.django_db
ADDRESS = "/api/v1/earnings/statement"
EARLY, LATE = datetime(2001, 1, 1, tzinfo=UTC), datetime(2101, 1, 1, tzinfo=UTC)


def sell(coach: Any, price: str = "100.00", **options: Any) -> Enrollment:
    return services.enroll_with_credits(
        learner=make_user(balance=price),
        course_id=make_course(coach, price=price, **options).pk,
    )


def refund(enrollment: Enrollment, amount: str, **options: Any) -> None:
    services.refund_enrollment(
        enrollment_id=enrollment.pk,
        actor=None,
        reason="Asked for",
        amount=Decimal(amount),
        **options,
    )


def rows_of(coach: Any, start: Any = EARLY, end: Any = LATE) -> list[Earning]:
    statement = earnings_statement(coach=coach, start=start, end=end)
    return list(statement.iterate())


def busy_coach() -> Any:
    """Sales, parts given back, and one that the platform paid for."""
    coach = make_coach(balance="500.00")
    for _ in range(3):
        sell(make_coach(), rate="1")
    sell(coach, "99.99", rate="0.125", title="Sewing")
    place = sell(coach, "60.00", title="Welding")
    refund(place, "20.00")
    sponsor = make_user(balance="40.00")
    carry_out(give_places([make_user()], make_course(coach, price="40.00"), sponsor))
    # Credits that are not earned are in no statement of earnings.
    grant_credits(user_id=coach.pk, amount=Decimal("5.00"), reason="for a test")
    services.enroll_with_credits(learner=coach, course_id=make_course(price="10.00").pk)
    spend(coach, str(balance_of(coach)))
    refund(place, "30.00", shortfall_from_revenue=True)
    return coach


def test_every_row_adds_up_and_all_of_them_to_what_the_ledger_says():
    coach = busy_coach()

    rows = rows_of(coach)

    assert [(row.kind, str(row.price), str(row.earnings)) for row in rows] == [
        ("sale", "99.99", "87.49"),
        ("sale", "60.00", "60.00"),
        ("refund", "-20.00", "-20.00"),
        ("sale", "40.00", "40.00"),
        ("refund", "-30.00", "0.00"),
    ]
    for row in rows:
        assert row.price - row.fee + row.paid_by_platform == row.earnings
    after = earnings_statement(coach=coach, start=LATE, end=LATE)
    assert sum(row.earnings for row in rows) == after.opening == Decimal("167.49")


@pytest.mark.parametrize("seed", range(5))
def test_the_closing_of_a_period_is_the_opening_of_the_next(seed):
    coach = busy_coach()
    times = CreditTransaction.objects.filter(wallet=coach.wallet)
    chance = random.Random(seed)  # noqa: S311 - repeatable
    cuts = sorted(
        moment + timedelta(microseconds=chance.choice((-1, 0, 1)))
        for moment in times.values_list("created_at", flat=True)
    )
    expected = Decimal(0)

    for start, end in zip([EARLY, *cuts], [*cuts, LATE], strict=True):
        statement = earnings_statement(coach=coach, start=start, end=end)
        assert statement.opening == expected
        expected += sum(row.earnings for row in statement.iterate())
        assert statement.closing == expected

    assert expected == Decimal("167.49")


def test_totals_are_by_course_and_together():
    coach = busy_coach()
    statement = earnings_statement(coach=coach, start=EARLY, end=LATE)
    for _ in statement.iterate():
        pass

    found = {
        course.title: (course.sales, course.refunds, str(course.earnings))
        for course in [*statement.courses.values(), statement.total()]
    }

    assert found == {
        "Sewing": (1, 0, "87.49"),
        "Welding": (1, 2, "40.00"),
        "Bookkeeping for market stalls": (1, 0, "40.00"),
        "All courses": (3, 2, "167.49"),
    }


def test_it_takes_three_queries_for_few_rows_and_for_many(django_assert_num_queries):
    coach = make_coach()
    for _ in range(4):
        refund(sell(coach, "10.00"), "1.00")

    with django_assert_num_queries(3):
        rows_of(coach)


# Over HTTP.


def read(answer: Any) -> list[dict[str, str]]:
    text = b"".join(answer.streaming_content).decode().removeprefix("\ufeff")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_coach_gets_this_month_as_csv():
    coach = make_coach()
    place = sell(coach, "50.00", rate="0.1", title='=HYPERLINK("http://x","Sewing")')

    answer = signed_in(coach).get(ADDRESS)

    month = f"{timezone.now():%Y-%m}"
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == (
        f'attachment; filename="earnings-{month}.csv"'
    )
    opening, row, closing = read(answer)
    assert (opening["kind"], opening["earned"]) == ("earned_before", "0.00")
    assert (closing["kind"], closing["earned"]) == ("earned_until", "45.00")
    row.pop("time")
    assert row == {
        "kind": "sale",
        "course": '\'=HYPERLINK("http://x","Sewing")',
        "enrollment": str(place.pk),
        "commission_rate": "0.1000",
        "price": "50.00",
        "fee": "5.00",
        "paid_by_platform": "0.00",
        "earnings": "45.00",
        "earned": "45.00",
    }


def test_an_earlier_month_holds_nothing_of_this_one():
    coach = make_coach()
    sell(coach)

    rows = read(signed_in(coach).get(f"{ADDRESS}?month=2020-02"))

    assert [(row["time"], row["kind"], row["earned"]) for row in rows] == [
        ("2020-02-01T00:00:00Z", "earned_before", "0.00"),
        ("2020-03-01T00:00:00Z", "earned_until", "0.00"),
    ]


def test_nobody_is_told_who_the_learners_are():
    coach = make_coach()
    place = sell(coach)

    answer: Any = signed_in(coach).get(ADDRESS)
    content = b"".join(answer.streaming_content).decode()

    for secret in (place.learner.email, place.learner.username):
        assert secret not in content


def test_a_coach_gets_the_month_as_pdf():
    coach = make_coach()
    sell(coach, title="Ngoni – ŵ 漢 courses")

    answer = signed_in(coach).get(f"{ADDRESS}?format=pdf")

    assert answer["Content-Type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF-")


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("month=2026-13", "month"),
        ("month=0000-01", "month"),
        ("month=2026-1", "month"),
        ("month=9999-12x", "month"),
        ("format=xlsx", "format"),
        ("coach=1", "coach"),
    ],
)
def test_a_month_or_form_that_does_not_exist_is_refused(query, name):
    body = problem(signed_in(make_coach()).get(f"{ADDRESS}?{query}"))

    assert body["status"] == 400
    assert [error["pointer"] for error in body["errors"]] == [f"?{name}"]


# At the console.


def console(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_staff_save_the_statement_of_a_coach():
    coach = make_coach()
    sell(coach, "50.00")
    client = console(make_staff("support"))
    month = f"{timezone.now():%Y-%m}"

    page = client.get("/admin/courses/enrollment/earnings/")
    asked = {"coach": coach.email, "month": month, "format": "csv"}
    file = client.get("/admin/courses/enrollment/earnings/", asked)
    pdf = client.get("/admin/courses/enrollment/earnings/", {**asked, "format": "pdf"})
    listed = client.get("/admin/courses/enrollment/").content.decode()

    assert f'value="{month}"' in page.content.decode()
    assert read(file)[-1]["earned"] == "50.00"
    assert pdf.content.startswith(b"%PDF-")
    assert "/admin/courses/enrollment/earnings/" in listed


@pytest.mark.parametrize(
    "fields",
    [
        {"coach": "nobody"},
        {"month": "November"},
        {"format": "xlsx"},
    ],
)
def test_the_page_says_what_is_wrong(fields):
    asked = {
        "coach": make_coach().email,
        "month": "2026-11",
        "format": "csv",
        **fields,
    }

    answer = console(make_staff("support")).get(
        "/admin/courses/enrollment/earnings/", asked
    )

    assert list(answer.context["form"].errors) == list(fields)


def test_the_page_is_for_staff_who_may_see_enrollments():
    address = "/admin/courses/enrollment/earnings/"

    assert console(make_user()).get(address).status_code == 302
    assert console(make_user(is_staff=True)).get(address).status_code == 403
