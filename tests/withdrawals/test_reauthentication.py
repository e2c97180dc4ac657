"""P10, T17: a session that was left open does not lead money elsewhere."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from tests.factories import PASSWORD, make_coach
from tests.withdrawals.people import AIRTEL, problem
from withdrawals.models import PayoutMethod

pytestmark = pytest.mark.django_db

BODY = {
    "kind": "mobile_money",
    "destination": AIRTEL,
    "account_name": "Chikondi Banda",
    "account_number": "0991234567",
}
REFUSAL = {
    "type": "/problems/reauthentication-required",
    "title": "Sign in again to do this.",
    "status": 403,
    "detail": "Sign in, or authenticate, again and repeat the request.",
}


def sign_in(coach: Any) -> dict[str, str]:
    answer = Client().post(
        "/_allauth/app/v1/auth/login",
        {"email": coach.email, "password": PASSWORD},
        content_type="application/json",
    )
    token = answer.json()["meta"]["access_token"]
    return {"Authorization": f"Bearer {token}"}


def add(headers: dict[str, str], client: Client | None = None) -> Any:
    return (client or Client()).post(
        "/api/v1/payout-methods",
        BODY,
        content_type="application/json",
        headers=headers,
    )


def let_pass(*, minutes: float) -> None:
    """As if all sessions were so much older."""
    for row in Session.objects.all():
        session = SessionStore(row.session_key)
        records = session.get(AUTHENTICATION_METHODS_SESSION_KEY, [])
        for record in records:
            record["at"] = time.time() - 60 * minutes
        session[AUTHENTICATION_METHODS_SESSION_KEY] = records
        session.save()


@pytest.fixture
def coach() -> Any:
    return make_coach(password=PASSWORD)


def test_who_signed_in_lately_adds_a_method(gateway, coach):
    headers = sign_in(coach)
    let_pass(minutes=59)

    assert add(headers).status_code == 201


def test_a_session_that_is_older_takes_signing_in_again(gateway, coach):
    headers = sign_in(coach)
    let_pass(minutes=61)

    answer = add(headers)

    assert answer.status_code == 403
    assert problem(answer) == REFUSAL
    assert not PayoutMethod.objects.exists()
    assert add(sign_in(coach)).status_code == 201


def test_the_password_alone_suffices_for_the_same_session(gateway, coach):
    headers = sign_in(coach)
    let_pass(minutes=61)

    Client().post(
        "/_allauth/app/v1/auth/reauthenticate",
        {"password": PASSWORD},
        content_type="application/json",
        headers=headers,
    )

    assert add(headers).status_code == 201


def test_it_can_be_switched_off(gateway, coach, settings):
    settings.REAUTHENTICATION_MINUTES = 0
    headers = sign_in(coach)
    let_pass(minutes=10_000)

    assert add(headers).status_code == 201


def test_a_session_without_a_record_is_as_old_as_the_last_sign_in(gateway, coach):
    client = Client()
    client.force_login(coach, backend="django.contrib.auth.backends.ModelBackend")

    assert add({}, client).status_code == 201

    coach.last_login = timezone.now() - timedelta(minutes=61)
    coach.save(update_fields=["last_login"])
    assert add({}, client).status_code == 403
