from __future__ import annotations

import io
import json
import stat
from decimal import Decimal

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from courses.models import Course, Enrollment
from credits_project import demo
from payments.models import CreditPackage
from tests.factories import make_user, wallet_of
from wallets.models import CreditTransfer
from withdrawals.models import PayoutRate

pytestmark = pytest.mark.django_db
ROLES = ("learner", "coach", "second-coach", "support", "finance", "auditor")


@pytest.fixture(autouse=True)
def data_folder(settings, tmp_path):
    settings.BASE_DIR = tmp_path
    return tmp_path / ".data"


def run(*arguments: str) -> str:
    output = io.StringIO()
    call_command("load_demo", *arguments, stdout=output)
    return output.getvalue()


def of_demo(role: str) -> User:
    return User.objects.get(email=f"{role}@example.com")


def test_the_demo_has_somebody_in_every_role():
    run()

    groups = {
        role: list(of_demo(role).groups.values_list("name", flat=True))
        for role in (
            "learner",
            "coach",
            "second-coach",
            "support",
            "finance",
            "auditor",
        )
    }
    assert groups == {
        "learner": [],
        "coach": ["coaches"],
        "second-coach": ["coaches"],
        "support": ["support"],
        "finance": ["finance"],
        "auditor": ["auditors"],
    }
    assert of_demo("admin").is_superuser
    staff = User.objects.filter(is_staff=True).values_list("username", flat=True)
    assert set(staff) == {"support", "finance", "auditor", "admin"}


def test_their_addresses_are_verified_and_their_passwords_work(client):
    run()

    addresses = EmailAddress.objects.filter(verified=True, primary=True)
    assert set(addresses.values_list("email", flat=True)) == {
        account.email for account in demo.ACCOUNTS
    }
    for account, password in demo.accounts():
        assert client.login(email=account.email, password=password)


def test_the_demo_has_something_of_everything():
    run()

    courses = Course.objects.values_list("status", flat=True)
    assert set(courses) == {"draft", "published", "archived"}
    assert Course.objects.published().filter(price=0).exists()
    assert Course.objects.published().filter(price__gt=400).exists()
    assert CreditPackage.objects.filter(currency="MWK", bonus_credits__gt=0).exists()
    assert PayoutRate.objects.count() == 1
    learner = of_demo("learner")
    states = Enrollment.objects.filter(learner=learner).values_list("status", flat=True)
    assert sorted(states) == ["active", "active", "refunded"]
    assert wallet_of(learner).balance == Decimal("235.00")
    assert wallet_of(of_demo("coach")).balance == Decimal("40.00")


def test_loading_it_again_changes_nothing(data_folder):
    run()
    file = (data_folder / "demo-accounts.json").read_bytes()

    def tables():
        return [
            list(model.objects.order_by("pk").values())
            for model in (User, CreditPackage, Course, Enrollment, CreditTransfer)
        ]

    before = tables()

    assert run() == "The demo is loaded.\n"
    assert tables() == before
    assert (data_folder / "demo-accounts.json").read_bytes() == file


def test_loading_it_again_leaves_what_people_changed():
    run()
    Course.objects.update(title="Renamed", price=Decimal("999.00"))
    CreditPackage.objects.update(name="Renamed")

    assert run() == "The demo is loaded.\n"


def test_passwords_are_made_up_for_each_folder_and_are_their_owners_alone(
    data_folder, settings, tmp_path
):
    run()
    file = data_folder / "demo-accounts.json"
    passwords = json.loads(file.read_text())

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(set(passwords.values())) == len(demo.ACCOUNTS)
    settings.BASE_DIR = tmp_path / "elsewhere"
    run()
    assert not set(passwords.values()) & set(
        json.loads(demo.file().read_text()).values()
    )


def test_where_the_file_was_lost_the_accounts_get_new_passwords(data_folder):
    run()
    (data_folder / "demo-accounts.json").unlink()

    run()

    assert all(password for _, password in demo.accounts())


def test_the_accounts_are_printed_with_the_passwords_that_work():
    run()
    coach = of_demo("coach")
    coach.set_password("changed by hand")
    coach.save(update_fields=["password"])

    lines = run("--print-accounts").splitlines()

    passwords = json.loads(demo.file().read_text())
    assert [line.split()[:2] for line in lines[:2]] == [
        ["role", "e-mail"],
        ["learner", "learner@example.com"],
    ]
    assert lines[1].endswith(passwords["learner@example.com"])
    assert lines[2].endswith("(changed since)")
    assert len(lines) == 1 + len(demo.ACCOUNTS)


def test_there_are_no_accounts_to_print_before_it_is_loaded():
    with pytest.raises(CommandError, match="no demo accounts"):
        run("--print-accounts")


def test_a_database_with_users_of_its_own_is_left_alone(data_folder):
    make_user()

    with pytest.raises(CommandError, match="users of its own"):
        run()

    assert User.objects.count() == 1
    assert not data_folder.exists()


def test_a_database_with_users_of_its_own_takes_the_demo_by_force():
    make_user()

    assert run("--force").startswith("Loaded 7 accounts, 4 packages, 1 payout rates")


def test_people_who_signed_up_in_the_demo_do_not_stop_it():
    run()
    make_user()

    assert run() == "The demo is loaded.\n"


def test_it_can_be_quiet():
    assert run("--verbosity", "0") == ""
