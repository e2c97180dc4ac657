"""Lists as files, at the shell and at the console."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client

from courses.bulk_files import read_list, report_lines
from courses.models import BulkRow, BulkRun, Enrollment
from credits_project.exceptions import InvalidInput
from tests.courses.lists import carry_out, give_bonus
from tests.courses.offers import make_course
from tests.factories import balance_of, make_staff, make_user
from wallets.services import transfer_credits

pytestmark = pytest.mark.django_db
LISTS = "/admin/courses/bulkrun/"


# Reading.


def test_a_list_is_read_with_the_numbers_of_its_lines():
    content = b"\xef\xbb\xbfPerson, Amount\r\na@example.com,5\r\n\r\n b ,\t7.50\r\n"

    lines = read_list(content, kind="bonus")

    assert [(line.number, line.person, line.amount) for line in lines] == [
        (2, "a@example.com", Decimal(5)),
        (4, "b", Decimal("7.50")),
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"person\nx",
        b"amount,person\n5,x",
        b"person,amount,more\nx,5,6",
        b"person,amount\nx",
        b"person,amount\nx,5,6",
        b"person,amount\n,5",
        b"person,amount\nx,five",
        b"person,amount\nx,1e3",
        b"person,amount\nx,1_000",
        b"person,amount\nx,NaN",
        b"person,amount\nx,Infinity",
        b"person,amount\nx,9999999999999",
        "person,amount\nx,٥".encode(),
        b"person,amount\nx,\xff",
        b"person,amount\nx\x00,5",
        b'person,amount\n"x,5',
        b"person,amount\n" + b"x" * 300 + b",5",
        b"person,amount\n" + b"x,5\n" * 7_000,
        b"x" * 1_000_001,
    ],
)
def test_a_file_that_is_no_list_is_refused(content):
    with pytest.raises(InvalidInput):
        read_list(content, kind="bonus")


def test_the_report_tells_each_line_and_runs_in_no_spreadsheet():
    person = make_user()
    run = carry_out(give_bonus([person, '=HYPERLINK("http://x")']))

    text = "".join(report_lines(run))

    rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    transfer = BulkRow.objects.get(run=run, line=2).transfer_id
    assert rows == [
        ["line", "person", "amount", "status", "detail", "made"],
        ["2", person.email, "5.00", "done", "", str(transfer)],
        ["3", '\'=HYPERLINK("http://x")', "5.00", "refused", "Names no user.", ""],
    ]


# At the shell.


def command(name: str, *arguments: str) -> tuple[str, str]:
    out, errors = io.StringIO(), io.StringIO()
    call_command(name, *arguments, stdout=out, stderr=errors)
    return out.getvalue(), errors.getvalue()


def file_of(folder: Path, *lines: str) -> str:
    file = folder / "people.csv"
    file.write_text("\n".join(lines))
    return str(file)


def test_a_list_of_bonuses_is_carried_out_by_command_and_reported(tmp_path):
    person = make_user()
    file = file_of(tmp_path, "person,amount", f"{person.email},5", "nobody,5")
    report = tmp_path / "report.csv"

    for _ in range(2):
        with pytest.raises(CommandError, match=r"1 line\(s\) were refused"):
            command("grant_list", file, "--reason", "Prize", "--report", str(report))

    assert balance_of(person) == 5
    assert "nobody" in report.read_text()


def test_a_list_of_places_is_carried_out_by_command(tmp_path):
    person, sponsor = make_user(), make_user(balance="100.00")
    course = make_course()
    file = file_of(tmp_path, "person", person.email)
    about = ["--course", course.slug, "--sponsor", sponsor.email]

    out, _ = command("enroll_list", file, "--reason", "Training", *about)
    again, _ = command("enroll_list", file, "--reason", "Training", *about)

    assert out.endswith(": 0 pending, 1 done, 0 refused\n")
    assert again.startswith("This list was given in before; going on with it.\n")
    assert Enrollment.objects.get(learner=person).payer == sponsor
    assert balance_of(sponsor) == 0


def test_a_dry_run_tells_what_would_be_and_writes_nothing(tmp_path):
    person = make_user()
    file = file_of(tmp_path, "person,amount", f"{person.email},5")

    out, _ = command("grant_list", file, "--reason", "Prize", "--dry-run")

    assert out.startswith("Nothing was written. It would be:\n")
    assert ": 0 pending, 1 done, 0 refused" in out
    assert balance_of(person) == 0
    assert not BulkRun.objects.exists()


def test_what_cannot_be_done_whole_is_told_line_by_line(tmp_path):
    file = file_of(tmp_path, "person,amount", f"{make_user().email},5", "nobody,5")
    errors = io.StringIO()

    with pytest.raises(CommandError, match=r"1 line\(s\) cannot be carried out"):
        call_command(
            "grant_list",
            file,
            "--reason",
            "Prize",
            "--all-or-nothing",
            stderr=errors,
        )

    assert errors.getvalue() == "line 3: Names no user.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["grant_list", "no-such-file.csv", "--reason", "x"],
        ["grant_list", "{file}", "--reason", " "],
        ["enroll_list", "{file}", "--reason", "x", "--course", "no", "--sponsor", "no"],
    ],
)
def test_a_command_that_cannot_be_says_why(tmp_path, arguments):
    file = file_of(tmp_path, "person,amount", "x,5")

    with pytest.raises(CommandError):
        call_command(*[word.format(file=file) for word in arguments])


# At the console.


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def upload(*lines: str) -> SimpleUploadedFile:
    return SimpleUploadedFile("people.csv", "\n".join(lines).encode(), "text/csv")


def said(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def test_finance_gives_a_list_a_bonus_at_the_console_once_however_often_sent():
    person, client = make_user(), signed_in(make_staff("finance"))

    for _ in range(2):
        answer = client.post(
            f"{LISTS}bonus/",
            {
                "file": upload("person,amount", f"{person.email},5.00"),
                "reason": "Prize",
                "name": "November",
            },
            follow=True,
        )

    assert said(answer) == [
        "This list was given in before; it goes on where it ended.",
        "November: 1 done, 0 refused, 0 left.",
    ]
    assert balance_of(person) == 5
    run = BulkRun.objects.get()
    report = client.get(f"{LISTS}{run.pk}/report/")
    assert report["Content-Type"] == "text/csv; charset=utf-8"
    assert person.email in b"".join(report.streaming_content).decode()  # type: ignore[attr-defined]
    lines = client.get(f"/admin/courses/bulkrow/?run__id__exact={run.pk}")
    assert person.email in lines.content.decode()


def test_finance_enrolls_a_list_at_a_sponsors_cost_at_the_console():
    person, sponsor = make_user(), make_user(balance="100.00")
    course = make_course()
    client = signed_in(make_staff("finance"))

    page = client.get(f"{LISTS}enroll/")
    answer = client.post(
        f"{LISTS}enroll/",
        {
            "file": upload("person", person.email, "nobody"),
            "reason": "Training",
            "course": course.slug,
            "sponsor": sponsor.email,
        },
        follow=True,
    )

    assert page.status_code == 200
    assert said(answer)[-1].endswith(": 1 done, 1 refused, 0 left.")
    assert balance_of(sponsor) == 0


def test_the_console_goes_on_with_a_list_that_stopped():
    sponsor, client = make_user(balance="50.00"), signed_in(make_staff("finance"))
    answer = client.post(
        f"{LISTS}enroll/",
        {
            "file": upload("person", make_user().email),
            "reason": "Training",
            "course": str(make_course(price="60.00").pk),
            "sponsor": str(sponsor.pk),
            "name": "Stopped",
        },
        follow=True,
    )
    assert said(answer) == [
        "Stopped: 60.00 credits are required and 50.00 are available.",
        "Stopped: 0 done, 0 refused, 1 left.",
    ]
    person = make_user(balance="10.00")
    transfer_credits(
        from_user_id=person.pk, to_user_id=sponsor.pk, amount=Decimal("10.00")
    )

    run = BulkRun.objects.get()
    answer = client.post(
        LISTS, {"action": "go_on", "_selected_action": [str(run.pk)]}, follow=True
    )

    assert said(answer) == ["Stopped: 1 done, 0 refused, 0 left."]


def test_a_second_person_agrees_at_the_console_and_the_list_is_carried_out(settings):
    settings.ADJUSTMENT_FOUR_EYES_ABOVE = Decimal(1)
    person = make_user()
    first, second = (signed_in(make_staff("finance")) for _ in range(2))
    given = first.post(
        f"{LISTS}bonus/",
        {
            "file": upload("person,amount", f"{person.email},5.00"),
            "reason": "Prize",
            "name": "Large",
        },
        follow=True,
    )
    action = {"action": "agree", "_selected_action": [str(BulkRun.objects.get().pk)]}

    alone = first.post(LISTS, action, follow=True)
    agreed = second.post(LISTS, action, follow=True)

    assert said(given)[0] == ("Large: A second person has to agree to this list first.")
    assert "neither asked nor receives" in said(alone)[0]
    assert said(agreed) == ["Large: 1 done, 0 refused, 0 left."]
    assert balance_of(person) == 5


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("bonus", {}),
        ("bonus", {"file": "person,amount\nnobody,5", "all_or_nothing": "on"}),
        ("bonus", {"file": "no list"}),
        ("bonus", {"file": "x" * 1_000_001}),
        ("enroll", {"file": "person\nx", "course": "no such", "sponsor": "nobody"}),
    ],
)
def test_a_list_that_cannot_be_comes_back_with_what_is_wrong(kind, fields):
    client = signed_in(make_staff("finance"))
    data: dict[str, Any] = {"reason": "Prize", **fields}
    if "file" in data:
        data["file"] = upload(data["file"])

    answer = client.post(f"{LISTS}{kind}/", data)

    assert answer.status_code == 200
    assert answer.context["form"].errors
    assert not BulkRun.objects.exists()


@pytest.mark.parametrize("group", ["support", "auditors"])
def test_who_may_not_give_lists_in_sees_them_all_the_same(group):
    run = carry_out(give_bonus([make_user()]))
    client = signed_in(make_staff(group))

    shown = client.get(f"{LISTS}{run.pk}/change/")
    listed = client.get(LISTS)

    assert (shown.status_code, listed.status_code) == (200, 200)
    assert "addlink" not in listed.content.decode()
    for kind in ("bonus", "enroll"):
        assert client.get(f"{LISTS}{kind}/").status_code == 403
        assert client.post(f"{LISTS}{kind}/").status_code == 403
    assert client.get(f"{LISTS}{run.pk}/report/").status_code == 200


def test_reports_are_for_staff_alone():
    run = carry_out(give_bonus([make_user()]))

    answer = signed_in(make_user()).get(f"{LISTS}{run.pk}/report/")

    assert answer.status_code == 302
