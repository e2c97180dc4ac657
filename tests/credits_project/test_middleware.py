from __future__ import annotations

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client

from tests.credits_project.asking import tokens_of, user_with_password, with_token
from tests.factories import make_staff, make_user

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/", "/api/v1/me", "/nowhere", "/healthz"])
def test_every_answer_bears_the_caller_s_request_id(path):
    answer = Client().get(path, headers={"X-Request-ID": "abc-123:7/x=.@+_"})

    assert answer["X-Request-ID"] == "abc-123:7/x=.@+_"


@pytest.mark.parametrize(
    "sent", ["", "a b", "x" * 129, "a\tb", '{"json": 1}', "é", "<script>"]
)
def test_an_id_that_is_not_sane_is_replaced(sent):
    first = Client().get("/api/v1/me", headers={"X-Request-ID": sent})
    second = Client().get("/api/v1/me", headers={"X-Request-ID": sent})

    assert first["X-Request-ID"] not in ("", sent)
    assert first["X-Request-ID"] != second["X-Request-ID"]
    assert first.json()["request_id"] == first["X-Request-ID"]


def test_answers_to_a_signed_in_client_are_stored_nowhere():
    user = user_with_password()
    browser = Client()
    browser.force_login(user)
    program = with_token(tokens_of(user)["access_token"])

    for client in (browser, program):
        for path in ("/api/v1/me", "/api/v1/wallet", "/api/v1/nowhere", "/"):
            assert client.get(path)["Cache-Control"] == "no-store", path


def test_a_refused_token_s_answer_is_not_stored_either():
    assert with_token("garbage").get("/api/v1/me")["Cache-Control"] == "no-store"


def test_what_is_the_same_for_everybody_may_be_stored():
    assert "Cache-Control" not in Client().get("/api/v1/openapi.json")


def test_pages_forbid_framing_and_scripts_from_elsewhere():
    answer = Client().get("/")

    policy = answer["Content-Security-Policy"]
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_staff_without_a_second_factor_are_sent_to_its_set_up(settings):
    settings.STAFF_MFA_REQUIRED = True
    client = Client()
    client.force_login(make_staff("finance"))

    for path in ("/admin/", "/admin/wallets/creditwallet/", "/admin/nowhere"):
        answer = client.get(path)
        assert (answer.status_code, answer["Location"]) == (302, "/accounts/2fa/")
    assert client.post("/admin/wallets/creditwallet/").status_code == 302


def test_staff_with_a_second_factor_see_the_console(settings):
    settings.STAFF_MFA_REQUIRED = True
    staff = make_staff("finance")
    Authenticator.objects.create(user=staff, type=Authenticator.Type.TOTP, data={})
    client = Client()
    client.force_login(staff)

    assert client.get("/admin/").status_code == 200


def test_the_second_factor_can_be_left_to_a_demo():
    client = Client()
    client.force_login(make_staff("finance"))

    assert client.get("/admin/").status_code == 200


def test_learners_do_not_see_the_console(settings):
    settings.STAFF_MFA_REQUIRED = True
    client = Client()
    client.force_login(make_user())

    assert client.get("/admin/").status_code == 302
    assert client.get("/admin/", follow=True).status_code == 403


def test_staff_sign_in_where_everybody_does():
    answer = Client().get("/admin/login/?next=/admin/wallets/")

    assert answer.status_code == 302
    assert answer["Location"] == "/accounts/login/?next=%2Fadmin%2Fwallets%2F"
