from __future__ import annotations

import json

import pytest

from tests.credits_project.asking import malformed, problem, send_raw
from wallets.models import CreditTransfer

pytestmark = pytest.mark.django_db

LIMIT = 1024 * 1024


@pytest.mark.parametrize(
    ("body", "code", "detail"),
    [
        (
            b"not json",
            "parse_error",
            "The body is not JSON: Expecting value (line 1, column 1).",
        ),
        (
            b'{"amount": 1,}',
            "parse_error",
            "The body is not JSON: Expecting property name enclosed in double quotes"
            " (line 1, column 14).",
        ),
        (
            "\ufeff{}".encode(),
            "parse_error",
            "The body is not JSON: Unexpected UTF-8 BOM (decode using utf-8-sig)"
            " (line 1, column 1).",
        ),
        (b'{"note": "\xff"}', "parse_error", "The body is not UTF-8."),
        (b'{"amount": NaN}', "not_a_number", "NaN is not a JSON number."),
        (b'{"amount": Infinity}', "not_a_number", "Infinity is not a JSON number."),
        (b'{"amount": -Infinity}', "not_a_number", "-Infinity is not a JSON number."),
        (
            b'{"amount": 1, "amount": 2}',
            "duplicate_key",
            "The name 'amount' stands twice in one object.",
        ),
        (
            b'{"amount": ' + b"9" * 5000 + b"}",
            "number_too_long",
            "A number has at most 100 digits.",
        ),
        (
            b'{"metadata": ' + b"[" * 60_000 + b"]" * 60_000 + b"}",
            "too_deep",
            "The body is nested more than 32 levels deep.",
        ),
        (
            b"[" * 40 + b"]" * 40,
            "too_deep",
            "The body is nested more than 32 levels deep.",
        ),
    ],
)
def test_a_body_that_is_not_strict_json_is_refused(body, code, detail):
    answer = send_raw(body)

    assert answer.status_code == 400
    assert problem(answer) == malformed(code, detail)
    assert not CreditTransfer.objects.exists()


@pytest.mark.parametrize(
    ("body", "pointer", "code", "detail"),
    [
        (
            '{"description": "a\\u0000b"}',
            "#/description",
            "null_characters_not_allowed",
            "Null characters are not allowed.",
        ),
        (
            '{"metadata": {"list": ["\\ud800"]}}',
            "#/metadata/list/0",
            "surrogate_characters_not_allowed",
            "Surrogate characters are not allowed.",
        ),
        (
            '{"a/b~\\u0000": 1}',
            "#/a~1b~0\\u0000",
            "null_characters_not_allowed",
            "Null characters are not allowed.",
        ),
    ],
)
def test_text_that_cannot_be_kept_is_refused_by_place(body, pointer, code, detail):
    answer = send_raw(body)

    assert answer.status_code == 400
    assert problem(answer) == malformed(code, detail, pointer)


def test_a_body_of_ten_megabytes_is_refused_before_it_is_read():
    answer = send_raw(b'{"description": "' + b"x" * 10 * LIMIT + b'"}')

    assert answer.status_code == 413
    assert problem(answer) == {
        "type": "/problems/payload-too-large",
        "title": "The request's body is too large.",
        "status": 413,
        "detail": "A body has at most 1048576 bytes.",
        "limit": 1048576,
    }
    assert not CreditTransfer.objects.exists()


def test_a_body_at_the_limit_is_read():
    padding = LIMIT - len('{"x": ""}')

    answer = send_raw('{"x": "' + "y" * padding + '"}')

    assert answer.status_code == 400
    assert {error["code"] for error in answer.json()["errors"]} == {
        "unknown",
        "required",
    }


@pytest.mark.parametrize(
    ("content_type", "headers"),
    [
        ("application/x-www-form-urlencoded", {}),
        ("multipart/form-data; boundary=x", {}),
        ("text/plain", {}),
        ("application/xml", {}),
        ("application/json; charset=utf-16", {}),
        ("application/json", {"HTTP_CONTENT_ENCODING": "gzip"}),
    ],
)
def test_a_body_of_another_kind_is_refused(content_type, headers):
    answer = send_raw(b'{"amount": 1}', content_type=content_type, **headers)

    named = headers.get("HTTP_CONTENT_ENCODING", content_type)
    assert answer.status_code == 415
    assert problem(answer) == {
        "type": "/problems/unsupported-media-type",
        "title": "The request's body is not JSON.",
        "status": 415,
        "detail": f'Unsupported media type "{named}" in request.',
    }


def test_a_body_that_is_no_object_is_refused():
    answer = send_raw("[1, 2]")

    assert answer.status_code == 400
    assert answer.json()["errors"] == [
        {
            "pointer": "#",
            "code": "invalid",
            "detail": "Invalid data. Expected a dictionary, but got list.",
        }
    ]


def test_json_with_a_charset_and_blanks_is_read():
    body = json.dumps({"unknown": 1}, indent=4)

    answer = send_raw(body, content_type="application/json; charset=UTF-8")

    assert "unknown" in {error["code"] for error in answer.json()["errors"]}
