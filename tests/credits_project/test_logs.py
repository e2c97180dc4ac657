from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest
import structlog
from django.conf import settings
from django.test import Client

from credits_project.logs import JsonFormatter

FORMATTER = JsonFormatter()


def line_of(message: str, *args: Any, exc_info: Any = None, **extra: Any) -> Any:
    record = logging.getLogger("shop").makeRecord(
        "shop", logging.WARNING, "file", 1, message, args, exc_info, extra=extra
    )
    line = FORMATTER.format(record)
    assert "\n" not in line
    return json.loads(line)


def test_a_line_is_one_json_object_with_what_it_is_about():
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        line = line_of("posted %s\nforged: line", "purchase:1", amount="5.00")

    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "posted purchase:1\nforged: line",
        "level": "warning",
        "logger": "shop",
        "amount": "5.00",
        "request_id": "r-1",
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("number 0991234567", "number …567"),
        ("+265991234567!", "+…567!"),
        ("account-1234567890123", "account-…123"),
        ("12345678 is short", "12345678 is short"),
        (
            "id 01a205dd-fbba-711b-badd-123456789012",
            "id 01a205dd-fbba-711b-badd-123456789012",
        ),
        ("id 12345678901234567890123456789012", "id 12345678901234567890123456789012"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer [redacted]"),
        ("token eyJhbGciOi.eyJzdWIi.sig-nature", "token [redacted]"),
        (
            "postgres://user:hunter2@db:5432/x",
            "postgres://user:[redacted]@db:5432/x",
        ),
    ],
)
def test_texts_are_shown_without_what_must_stay_secret(text, shown):
    assert line_of("%s", text)["event"] == shown


def test_values_under_secret_names_are_not_shown_however_deep():
    line = line_of(
        "called",
        headers={"Authorization": "Basic abc", "Accept": "x"},
        api_key="k",
        nested=[{"password": "p", "number": 991234567}],
    )

    assert line["headers"] == {"Authorization": "[redacted]", "Accept": "x"}
    assert line["api_key"] == "[redacted]"
    assert line["nested"] == [{"password": "[redacted]", "number": "…567"}]


def test_secrets_of_the_settings_are_shown_nowhere_not_even_in_tracebacks():
    try:
        raise ValueError(f"sent {settings.PAYCHANGU_SECRET_KEY} to 0991234567")
    except ValueError:
        line = line_of("failed with %s", settings.SECRET_KEY, exc_info=sys.exc_info())

    text = json.dumps(line)
    assert settings.PAYCHANGU_SECRET_KEY not in text
    assert settings.SECRET_KEY not in text
    assert "0991234567" not in text
    assert "ValueError: sent [redacted] to …567" in line["exception"]


@pytest.mark.django_db
def test_a_line_of_a_request_bears_its_id(caplog):
    Client().get("/api/v1/nowhere", headers={"X-Request-ID": "r-7"})

    [record] = [r for r in caplog.records if r.name == "django.request"]
    line = json.loads(FORMATTER.format(record))
    assert line["request_id"] == "r-7"
    assert line["event"] == "Not Found: /api/v1/nowhere"
    assert "request" not in line
