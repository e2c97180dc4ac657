"""The full number of a payout method is nowhere but with the gateway (P15, I23).

A coach with numbers that stand nowhere else goes through everything that touches them,
in the running system and as badly as it can go; then whatever the system wrote is
searched: what its processes printed, mails among it, every answer and page, every row
of the database, and PostgreSQL's own log.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
import requests
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from psycopg import sql

from tests.factories import PASSWORD, make_staff
from tests.journeys import people
from tests.postgres import DATA_DIR, clone_database, database_url, drop_database
from tests.simulator_process import until
from tests.system import Client, Console, System, answers, start_system
from withdrawals.models import PayoutMethod, WithdrawalRequest

# One system serves all of them, and each looks at what those before have left.
pytestmark = pytest.mark.xdist_group("number-leaks")

PHONE, ACCOUNT, REFUSED = "988765432", "7193842650138", "882461397"
NUMBERS = (PHONE, ACCOUNT, REFUSED)
NATIONAL_BANK = "82310dd1-ec9b-4fe7-a32c-2f262ef08681"
METHODS = "withdrawals/payoutmethod/"
WITHDRAWALS = "withdrawals/withdrawalrequest/"
# Every list of the console that a payout leaves something in.
LISTS = (
    "",
    METHODS,
    WITHDRAWALS,
    "withdrawals/payout/",
    "withdrawals/payoutcase/",
    "payments/gatewayevent/",
    "payments/gatewaydifference/",
    "wallets/credittransfer/",
    "wallets/credittransaction/",
    "admin/logentry/",
    "procrastinate_app/procrastinatejob/",
    "procrastinate_app/procrastinateevent/",
)


def found_in(text: str) -> set[str]:
    """Return which of the numbers stand in a text, however they are set."""
    # Grouped for the eye, too.
    digits = re.sub(r"(?<=\d)[ .-](?=\d)", "", text)
    return {number for number in NUMBERS if number in text or number in digits}


@dataclass
class Heard:
    """Everything that was answered, by what was asked."""

    answers: list[tuple[str, int, str]] = field(default_factory=list)

    def hear(self, answer: requests.Response, *_: Any, **__: Any) -> None:
        name = f"{answer.request.method} {answer.request.url}"
        headers = "\n".join(answer.headers.values())
        self.answers.append((name, answer.status_code, f"{headers}\n{answer.text}"))

    def leaks(self) -> list[str]:
        return [
            f"{name} ({status}): {found_in(text)}"
            for name, status, text in self.answers
            if found_in(text)
        ]


class Ear:
    """Makes requests of which each answer is kept."""

    def __init__(self, system: System, heard: Heard) -> None:
        self._site = system.site
        self._heard = heard

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        answer = requests.request(method, f"{self._site}{path}", timeout=60, **options)
        self._heard.hear(answer)
        return answer


class Coach(Client):
    """A coach of whose app every answer is kept."""

    heard: Heard

    def ask(
        self, method: str, path: str, body: Any, headers: dict[str, str] | None = None
    ) -> requests.Response:
        answer = super().ask(method, path, body, headers)
        self.heard.hear(answer)
        return answer


@pytest.fixture(scope="module")
def system(django_db_setup: None, django_db_blocker: Any) -> Iterator[System]:
    """A running system that says all that it has to say."""
    from django.db import connections

    settings = connections["default"].settings_dict
    template = settings["NAME"]
    with django_db_blocker.unblock():
        connections.close_all()
        settings["NAME"] = clone_database(template)
        try:
            with start_system(settings["NAME"], LOG_LEVEL="DEBUG") as running:
                yield running
        finally:
            connections.close_all()
            name, settings["NAME"] = settings["NAME"], template
            drop_database(name)


def method_body(number: str, **fields: str) -> dict[str, str]:
    return {
        "kind": "mobile_money",
        "destination": people.AIRTEL,
        "account_name": "A Coach",
        "account_number": number,
        **fields,
    }


def earning_coach(system: System, heard: Heard) -> Coach:
    """A coach who has earned 60 credits."""
    _, user = people.earn(system, "60.00")
    coach = Coach(system.site)
    coach.heard = heard
    coach.sign_in(user.email, PASSWORD)
    return coach


def add_badly(coach: Coach, system: System, heard: Heard) -> None:
    """Try to add the numbers in every way that is refused."""
    odd = [
        method_body(f"0{PHONE}", destination="27494cb5-ba9e-437f-a114-4e7a7686bcca"),
        method_body(f"0{PHONE}", destination="nowhere"),
        method_body(f"0{PHONE}", kind="cash"),
        method_body(f"+265 {PHONE}"),
        method_body(f"0{PHONE}x"),
        method_body(f"0{PHONE}" * 10),
        method_body(f"0{PHONE}", account_name=""),
        method_body(f"0{PHONE}", phone=f"0{PHONE}"),
        {**method_body(""), "account_number": [PHONE]},
        {**method_body(""), "account_number": {PHONE: PHONE}},
        {**method_body(""), "account_number": int(PHONE)},
        [PHONE],
    ]
    for body in odd:
        answer = coach.ask("POST", "/payout-methods", body)
        assert answer.status_code in {400, 404}, (body, answer.text)
    ear = Ear(system, heard)
    token = coach._token
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    path = "/api/v1/payout-methods"
    broken = f'{{"account_number": "{PHONE}", '
    ear.ask("POST", path, data=broken, headers=headers)
    ear.ask("POST", path, json=method_body(PHONE))
    ear.ask("PUT", path, json=method_body(PHONE), headers=headers)
    form = {"Authorization": headers["Authorization"]}
    ear.ask("POST", path, data=method_body(PHONE), headers=form)


def withdraw_all(coach: Coach, system: System) -> list[WithdrawalRequest]:
    """Have one paid, one failed, one refused with the number, one unknown."""
    control = system.simulator.control
    made = [
        coach.post("/payout-methods", method_body(f"0{PHONE}")),
        coach.post(
            "/payout-methods",
            method_body(ACCOUNT, kind="bank", destination=NATIONAL_BANK),
        ),
        coach.post(
            "/payout-methods",
            method_body(
                f"265{REFUSED}", destination="27494cb5-ba9e-437f-a114-4e7a7686bcca"
            ),
        ),
    ]
    phone, bank, refused = (method["id"] for method in made)
    # A second time, it is there already.
    again = coach.ask("POST", "/payout-methods", method_body(f"265{PHONE}"))
    assert again.status_code in {400, 409}
    finance = make_staff("finance", password=PASSWORD)
    console = Console(system.site, finance.email, PASSWORD)
    # For whichever of them comes first.
    control.fault("payout-result", "failed", times=1)
    control.fault("payout", "500-after", times=1, skip=1)
    closed = f"The number {REFUSED} is closed."
    control.fault("payout", "refused", times=1, skip=2, message=closed)
    for credits, method in (
        ("10.00", phone),
        ("11.00", bank),
        ("12.00", bank),
        ("13.00", refused),
        ("14.00", phone),
    ):
        body = {"credits": credits, "payout_method": method}
        withdrawal = coach.post("/withdrawals", body, key=f"leak-{credits}")
        console.act(WITHDRAWALS, "approve", withdrawal["id"], confirmed="yes")
    is_open = WithdrawalRequest.objects.open()
    until(lambda: not is_open.exists(), seconds=90)
    return list(WithdrawalRequest.objects.order_by("pk"))


def read_everything(coach: Coach, system: System, heard: Heard) -> None:
    """Ask for all that a coach, staff and machines can ask for."""
    for withdrawal in coach.get("/withdrawals")["results"]:
        coach.get(f"/withdrawals/{withdrawal['id']}")
    for path in (
        "/payout-methods",
        "/payout-destinations",
        "/withdrawals/quote?credits=1.00",
        "/wallet",
        "/wallet/transactions",
        "/me",
    ):
        coach.get(path)
    coach.ask("GET", "/wallet/statement?format=csv", None)
    coach.ask("GET", f"/withdrawals?account_number={PHONE}", None)
    ear = Ear(system, heard)
    assert ear.ask("GET", "/metrics").status_code == 200
    ear.ask("GET", "/api/v1/openapi.json")


def walk_the_console(system: System, heard: Heard) -> None:
    """Open every list, and every row of it, as each kind of staff."""
    for group in ("support", "finance", "auditors"):
        staff = make_staff(group, password=PASSWORD)
        console = Console(system.site, staff.email, PASSWORD)
        console._session.hooks["response"].append(heard.hear)
        for path in LISTS:
            answer = console._session.get(f"{system.site}/admin/{path}", timeout=60)
            if path:
                rows = set(
                    re.findall(rf'href="(/admin/{path}[^"?]+/change/)', answer.text)
                )
                for row in sorted(rows)[:8]:
                    console._session.get(f"{system.site}{row}", timeout=60)


@pytest.fixture(scope="module")
def heard(system: System) -> Heard:
    """What was answered while the numbers went through everything."""
    heard = Heard()
    people.payout_rate()
    coach = earning_coach(system, heard)
    add_badly(coach, system, heard)
    withdrawals = withdraw_all(coach, system)
    assert {row.status for row in withdrawals} == {"paid", "failed"}
    read_everything(coach, system, heard)
    walk_the_console(system, heard)
    return heard


def test_the_numbers_did_reach_the_gateway(system: System, heard: Heard):
    """Shows that there was something to leak."""
    sent = str(system.simulator.control.state()["payouts"])

    # But for the one that was refused.
    assert len(found_in(sent)) >= 2
    assert found_in(f"tel. 0{PHONE[:3]} {PHONE[3:6]} {PHONE[6:]}") == {PHONE}


def test_no_number_is_in_an_answer_or_on_a_page(heard: Heard):
    assert len(heard.answers) > 80
    assert heard.leaks() == []


def test_no_number_is_in_what_the_processes_print(system: System, heard: Heard):
    printed = system.printed()

    # Mails are printed here, and debugging is on.
    assert "Subject: A payout method was added" in printed
    assert found_in(printed) == set()


def test_no_number_is_in_the_output_of_a_command(system: System, heard: Heard):
    for arguments in (
        ("sweep", "--now"),
        ("reconcile_gateway",),
        ("verify_ledger", "--json"),
        ("procrastinate", "healthchecks"),
    ):
        try:
            printed = system.manage(*arguments)
        except subprocess.CalledProcessError as failed:
            printed = failed.stdout + failed.stderr
        assert found_in(printed) == set(), arguments


def test_no_number_is_in_any_table(system: System, heard: Heard):
    """Text, JSON and bytes: at rest it is encrypted."""
    leaks = []
    with psycopg.connect(database_url(system.database)) as database:
        columns = database.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns"
            " JOIN information_schema.tables USING (table_schema, table_name)"
            " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        ).fetchall()
        for table, column, kind in columns:
            name = sql.Identifier(column)
            text = sql.SQL("encode({}, 'escape')" if kind == "bytea" else "{}::text")
            for number in NUMBERS:
                query = sql.SQL("SELECT count(*) FROM {} WHERE {} LIKE %s").format(
                    sql.Identifier(table), text.format(name)
                )
                row: Any = database.execute(query, [f"%{number}%"]).fetchone()
                if row[0]:
                    leaks.append(f"{table}.{column}: {row[0]} times {number}")
    assert len(columns) > 200
    assert leaks == []


def test_no_number_is_in_postgresqls_log(system: System, heard: Heard):
    log = DATA_DIR.with_name(DATA_DIR.name + ".log")
    if not log.exists():
        pytest.skip("another server's log is not ours to read")

    assert found_in(log.read_text(errors="replace")) == set()


def test_finance_sees_it_and_that_is_on_record_without_it(system: System, heard: Heard):
    method = PayoutMethod.objects.get(account_number_last=PHONE[-3:])
    seen = {}
    for group in ("support", "auditors", "finance"):
        staff = make_staff(group, password=PASSWORD)
        console = Console(system.site, staff.email, PASSWORD)
        address = f"{system.site}/admin/{METHODS}{method.pk}/account-number/"
        token = console._session.cookies.get("csrftoken", "")
        answer = console._session.post(
            address,
            data={"csrfmiddlewaretoken": token},
            headers={"Referer": address},
            timeout=60,
        )
        seen[group] = (answer.status_code, found_in(answer.text))

    assert seen == {
        "support": (403, set()),
        "auditors": (403, set()),
        "finance": (200, {PHONE}),
    }
    entries = LogEntry.objects.filter(object_id=str(method.pk))
    assert "see account number" in "".join(e.change_message for e in entries)
    assert all(not found_in(f"{e} {e.change_message}") for e in entries)


@pytest.mark.parametrize("debug", ["off", "on"])
def test_no_number_is_on_an_error_page_or_in_its_report(
    system: System, heard: Heard, debug: str
):
    """A bug of ours, in the middle of taking the number in."""
    user = User.objects.filter(withdrawals__isnull=False).first()
    assert user is not None
    system.environment["DEBUG"] = debug
    system.kill("web")
    system.start("web")
    until(lambda: answers(system), seconds=90)
    coach = Coach(system.site)
    coach.heard = Heard()
    coach.sign_in(user.email, PASSWORD)
    number = "988" + "123456"
    with psycopg.connect(database_url(system.database), autocommit=True) as database:
        database.execute("ALTER TABLE payout_methods RENAME TO payout_methods_away")
        try:
            answer = coach.ask("POST", "/payout-methods", method_body(f"0{number}"))
        finally:
            database.execute("ALTER TABLE payout_methods_away RENAME TO payout_methods")

    assert answer.status_code == 500
    assert number not in answer.text
    assert number not in system.printed()
    assert "payout_methods" in system.printed()
