from __future__ import annotations

import re
from typing import Any

import jwt
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core import mail
from django.core.cache import cache
from django.test import Client, override_settings

from tests.credits_project.asking import (
    auth,
    problem,
    tokens_of,
    user_with_password,
    with_token,
)
from tests.factories import PASSWORD, make_coach, make_user, wallet_of

pytestmark = pytest.mark.django_db

ME = "/api/v1/me"


def refused(detail: str) -> dict[str, Any]:
    return {
        "type": "/problems/not-authenticated",
        "title": "You are not signed in.",
        "status": 401,
        "detail": detail,
    }


def test_signing_up_gives_tokens_and_a_wallet():
    answer = auth("/auth/signup", {"email": "new@example.com", "password": PASSWORD})

    meta = answer.json()["meta"]
    assert answer.status_code == 200
    assert meta["is_authenticated"] is True
    user = User.objects.get(email="new@example.com")
    assert with_token(meta["access_token"]).get(ME).json() == {
        "id": user.pk,
        "email": "new@example.com",
        "name": "",
        "is_coach": False,
        "is_staff": False,
        "mfa_enabled": False,
    }
    assert str(wallet_of(user).balance) == "0.00"


def test_the_wallet_is_shown_with_what_is_in_it():
    coach = make_coach(balance="12.50", password=PASSWORD)
    wallet = wallet_of(coach)

    answer = with_token(tokens_of(coach)["access_token"]).get("/api/v1/wallet")

    assert answer.json() == {
        "id": str(wallet.pk),
        "balance": "12.50",
        "held": "0.00",
        "available": "12.50",
        "withdrawable": "0.00",
        "in_withdrawal": "0.00",
        "frozen": False,
        "updated_at": wallet.updated_at.isoformat().replace("+00:00", "Z"),
    }


def test_nobody_is_told_to_sign_in():
    answer = Client().get(ME)

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == 'Bearer realm="api"'
    assert problem(answer) == refused("Authentication credentials were not provided.")


@pytest.mark.parametrize(
    ("header", "detail"),
    [
        ("Bearer", "Invalid token header. No credentials provided."),
        (
            "Bearer a b",
            "Invalid token header. Token string should not contain spaces.",
        ),
        ("Bearer garbage", "Invalid token."),
        ("bearer a.b.c", "Invalid token."),
        ("Bearer ééé", "Invalid token header. Token string should not contain invalid"),
        ("Bearer " + "x" * 10_000, "Invalid token."),
        ("Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.", "Invalid token."),
    ],
)
def test_a_token_that_is_garbage_is_refused_with_its_reason(header, detail):
    answer = Client().get(ME, headers={"Authorization": header})

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == 'Bearer realm="api", error="invalid_token"'
    body = problem(answer)
    assert body.pop("detail").startswith(detail)
    assert body == {k: v for k, v in refused("").items() if k != "detail"}


@pytest.mark.parametrize(
    "change",
    [
        {"sid": "not base64!"},
        {"sid": "é"},
        {"sid": "AAAA"},
        {"sid": ""},
        {"sid": 7},
        {"sub": "999999999"},
        {"sub": "not a number"},
        {"token_use": "refresh"},
        {"exp": 1},
    ],
)
def test_a_token_that_is_signed_by_us_and_odd_is_refused(change):
    token = tokens_of(user_with_password())["access_token"]
    claims = jwt.decode(token, settings.SECRET_KEY, algorithms=["HS256"])
    odd = jwt.encode({**claims, **change}, settings.SECRET_KEY, algorithm="HS256")

    answer = with_token(odd).get(ME)

    assert answer.status_code == 401
    assert problem(answer) == refused("Invalid token.")


def test_a_refresh_token_is_no_access_token():
    meta = tokens_of(user_with_password())

    assert with_token(meta["refresh_token"]).get(ME).status_code == 401


def test_a_deactivated_user_s_tokens_stop_working_at_once():
    user = user_with_password()
    meta = tokens_of(user)
    assert with_token(meta["access_token"]).get(ME).status_code == 200

    User.objects.filter(pk=user.pk).update(is_active=False)

    assert with_token(meta["access_token"]).get(ME).status_code == 401
    renewed = auth("/tokens/refresh", {"refresh_token": meta["refresh_token"]})
    assert renewed.status_code == 400
    assert "access_token" not in renewed.content.decode()


def test_signing_out_ends_the_token():
    meta = tokens_of(user_with_password())

    Client().delete(
        "/_allauth/app/v1/auth/session",
        headers={"X-Session-Token": meta["session_token"]},
    )

    assert with_token(meta["access_token"]).get(ME).status_code == 401


def test_a_new_password_ends_tokens_of_before():
    user = user_with_password()
    meta = tokens_of(user)

    user.set_password("another correct horse battery")
    user.save(update_fields=["password"])

    assert with_token(meta["access_token"]).get(ME).status_code == 401


def test_a_refresh_token_gives_a_new_access_token():
    meta = tokens_of(user_with_password())

    answer = auth("/tokens/refresh", {"refresh_token": meta["refresh_token"]})

    token = answer.json()["data"]["access_token"]
    assert with_token(token).get(ME).status_code == 200


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer():
    user = user_with_password()

    wrong = auth("/auth/login", {"email": user.email, "password": "wrong"})
    unknown = auth("/auth/login", {"email": "nobody@example.com", "password": "wrong"})

    assert wrong.status_code == unknown.status_code == 400
    assert wrong.json() == unknown.json()


def test_an_address_has_one_account():
    user = user_with_password()

    taken = auth("/auth/signup", {"email": user.email.upper(), "password": PASSWORD})

    assert taken.status_code == 400
    assert "meta" not in taken.json()
    assert User.objects.filter(email__iexact=user.email).count() == 1


def test_a_browser_s_session_works_and_needs_its_csrf_token():
    user = make_user()
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)

    read = client.get(ME)
    written = client.post("/api/v1/transfers", {}, content_type="application/json")

    assert read.status_code == 200
    assert written.status_code == 403
    assert problem(written) == {
        "type": "/problems/permission-denied",
        "title": "You may not do this.",
        "status": 403,
        "detail": "CSRF Failed: CSRF cookie not set.",
    }


@override_settings(ACCOUNT_RATE_LIMITS={})
def test_guessing_passwords_is_stopped_even_from_changing_forwarded_addresses():
    cache.clear()
    user = user_with_password()

    answers = [
        auth(
            "/auth/login",
            {"email": user.email, "password": "wrong"},
            headers={"X-Forwarded-For": f"203.0.113.{number}"},
        )
        for number in range(12)
    ]

    cache.clear()
    codes = [answer.json()["errors"][0]["code"] for answer in answers]
    assert codes[0] == "email_password_mismatch"
    assert codes[-1] == "too_many_login_attempts"


@override_settings(ACCOUNT_RATE_LIMITS={"signup": "2/m/ip"})
@pytest.mark.parametrize(("proxies", "refused"), [(0, True), (1, False)])
def test_limits_by_address_believe_as_many_proxies_as_there_are(
    proxies, refused, settings
):
    cache.clear()
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = proxies

    statuses = [
        auth(
            "/auth/signup",
            {"email": f"proxied-{number}@example.com", "password": PASSWORD},
            headers={"X-Forwarded-For": f"198.51.100.1, 203.0.113.{number}"},
        ).status_code
        for number in range(4)
    ]

    cache.clear()
    assert (429 in statuses) is refused


def test_mails_link_to_the_site_and_not_to_the_host_that_was_asked(settings):
    settings.ALLOWED_HOSTS = ["*"]
    user = user_with_password()

    auth(
        "/auth/password/request",
        {"email": user.email},
        headers={"Host": "evil.example"},
    )
    link = re.search(r"http\S+", str(mail.outbox[-1].body))

    assert link is not None
    assert link[0].startswith(f"{settings.SITE_URL}/accounts/password/reset/key/")
    assert "evil.example" not in mail.outbox[-1].body
    page = Client().get(link[0].removeprefix(settings.SITE_URL), follow=True)
    assert page.status_code == 200
    assert "Bad Token" not in page.content.decode()
