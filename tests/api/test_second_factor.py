"""What the console asks of staff, the API asks as well: a password is not enough."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.contrib.auth.models import Permission

from tests.credits_project.asking import RPC, problem, signed_in
from tests.factories import balance_of, make_staff, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def required(settings: Any) -> None:
    settings.STAFF_MFA_REQUIRED = True


def move(user: Any) -> Any:
    sender, receiver = make_user("sender", balance="5.00"), make_user("receiver")
    body = {"from_user_id": sender.pk, "to_user_id": receiver.pk, "amount": "2.00"}
    answer = signed_in(user).post(RPC, body, format="json")
    assert balance_of(receiver) == (2 if answer.status_code == 201 else 0)
    return answer


@pytest.mark.usefixtures("required")
def test_staff_without_a_second_factor_move_no_credits():
    answer = move(make_staff("finance"))

    assert answer.status_code == 403
    assert problem(answer) == {
        "type": "/problems/permission-denied",
        "title": "You may not do this.",
        "status": 403,
        "detail": "Staff need a second factor for this. Set one up at /accounts/2fa/.",
    }


@pytest.mark.usefixtures("required")
def test_staff_with_a_second_factor_do():
    finance = make_staff("finance")
    TOTP.activate(finance, generate_totp_secret())

    assert move(finance).status_code == 201


@pytest.mark.usefixtures("required")
def test_an_account_of_a_program_has_none_and_needs_none():
    program = make_user("program")
    program.user_permissions.add(Permission.objects.get(codename="transfer_credits"))

    assert move(program).status_code == 201


def test_none_is_needed_where_it_is_switched_off():
    assert move(make_staff("finance")).status_code == 201


@pytest.mark.usefixtures("required")
def test_what_staff_do_as_users_needs_none():
    assert signed_in(make_staff("finance")).get("/api/v1/wallet").status_code == 200
