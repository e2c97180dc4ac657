"""Browsers let pages of others call the API only where that is configured."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from credits_project.environment import Environment

pytestmark = pytest.mark.django_db

ORIGIN = "https://app.example.com"
ME = "/api/v1/me"


def preflight(path: str, origin: str = ORIGIN) -> Any:
    asks = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,idempotency-key",
    }
    return Client().options(path, headers=asks)


def allowed(answer: Any) -> str | None:
    value: str | None = answer.headers.get("Access-Control-Allow-Origin")
    return value


@pytest.mark.parametrize("path", [ME, "/_allauth/app/v1/auth/login", "/admin/"])
def test_no_page_of_others_may_call_unless_it_is_configured(path):
    assert allowed(preflight(path)) is None
    assert allowed(Client().get(path, headers={"Origin": ORIGIN})) is None


@pytest.mark.parametrize("path", [ME, "/_allauth/app/v1/auth/login"])
def test_a_configured_origin_may_call_with_tokens_and_without_cookies(path, settings):
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]

    answer = preflight(path)

    assert answer.status_code == 200
    assert allowed(answer) == ORIGIN
    assert "idempotency-key" in answer["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in answer


def test_an_answer_and_a_refusal_can_be_read_with_their_headers(settings):
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]

    answer = Client().get(ME, headers={"Origin": ORIGIN})

    assert answer.status_code == 401
    assert allowed(answer) == ORIGIN
    exposed = answer["Access-Control-Expose-Headers"]
    for name in ("retry-after", "x-request-id", "idempotent-replayed"):
        assert name in exposed


@pytest.mark.parametrize("path", ["/admin/", "/accounts/login/", "/payments/return"])
def test_pages_are_for_no_other_origin(path, settings):
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]

    assert allowed(Client().get(path, headers={"Origin": ORIGIN})) is None


@pytest.mark.parametrize(
    "origin", ["http://app.example.com", "https://app.example.com.evil.example", "null"]
)
def test_an_origin_that_is_only_like_it_may_not_call(origin, settings):
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]

    assert allowed(preflight(ME, origin)) is None


@pytest.mark.parametrize(
    "words",
    [
        "*",
        "https://app.example.com/",
        "https://app.example.com/path",
        "http://app.example.com",
        "app.example.com",
        "https://",
        "null",
    ],
)
def test_what_is_no_origin_stops_the_start(words, monkeypatch, tmp_path):
    monkeypatch.setenv("CORS_ALLOWED_ORIGINS", words)

    with pytest.raises(ImproperlyConfigured, match="CORS_ALLOWED_ORIGINS"):
        Environment(tmp_path / "none").origins("CORS_ALLOWED_ORIGINS")


def test_origins_are_read_by_comma(monkeypatch, tmp_path):
    monkeypatch.setenv("CORS_ALLOWED_ORIGINS", f"{ORIGIN}, http://127.0.0.1:3000")

    origins = Environment(tmp_path / "none").origins("CORS_ALLOWED_ORIGINS")

    assert origins == [ORIGIN, "http://127.0.0.1:3000"]
