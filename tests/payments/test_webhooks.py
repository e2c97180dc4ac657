"""The endpoint for the gateway's events: what it takes, and what it refuses."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json

import psycopg
import pytest
from django.test import Client

from payments import gateway, webhooks
from payments.models import GatewayEvent
from tests.payments.buying import WEBHOOK, deliver, encode
from tests.postgres import database_url
from tests.simulator_process import SECRET_KEY, WEBHOOK_SECRET

BODY = encode(
    {
        "event_type": "checkout.payment",
        "currency": "MWK",
        "amount": 1000,
        "mode": "test",
        "status": "success",
        "tx_ref": "credits-0",
        "customization": {"logo": "https://example.com/logo.png"},
        "meta": "null",
    }
)


@pytest.fixture
def database(request: pytest.FixtureRequest) -> None:
    """The database that is rolled back, unless the test has one of its own."""
    if "committed" not in request.fixturenames:
        request.getfixturevalue("db")


@pytest.fixture
def client(database: None) -> Client:
    return Client(headers={"X-Request-ID": "r"})


def problem(code: str, title: str, status: int, **facts) -> dict:
    return {
        "type": f"/problems/{code}",
        "title": title,
        "status": status,
        "request_id": "r",
        **facts,
    }


FORGED = problem(
    "not-authenticated",
    "You are not signed in.",
    401,
    detail="The signature is wrong.",
)


def assert_refused(answer, expected: dict) -> None:
    assert answer.status_code == expected["status"]
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json() == expected
    assert not GatewayEvent.objects.exists()


def test_a_signed_event_is_stored_as_it_came_and_answered_with_200(client):
    answer = deliver(client, BODY)

    assert (answer.status_code, answer.content) == (200, b'{"received": true}')
    event = GatewayEvent.objects.get()
    assert bytes(event.body) == BODY
    assert event.digest == hashlib.sha256(BODY).hexdigest()
    assert (event.signed_by, event.deliveries, event.status) == (
        "webhook",
        1,
        "received",
    )
    assert "Signature" not in event.headers


def test_w01_no_signature_is_refused(client):
    assert_refused(deliver(client, BODY, Signature=""), FORGED)


def test_w02_a_wrong_signature_is_refused_and_counted(client):
    assert_refused(deliver(client, BODY, Signature="0" * 64), FORGED)


def test_w03_a_body_altered_by_one_byte_is_refused(client):
    signature = gateway.sign(BODY, WEBHOOK_SECRET)
    altered = BODY.replace(b"1000", b"9000")

    assert_refused(deliver(client, altered, Signature=signature), FORGED)


def test_w04_the_signature_of_re_serialised_json_is_refused(client):
    signature = gateway.sign(json.dumps(json.loads(BODY)).encode(), WEBHOOK_SECRET)

    assert_refused(deliver(client, BODY, Signature=signature), FORGED)


@pytest.mark.parametrize("signature", [None, hmac.new(b"", BODY, "sha256").hexdigest()])
def test_w05_without_a_secret_nothing_is_taken(client, settings, signature):
    settings.PAYCHANGU_WEBHOOK_SECRET = ""
    signature = signature or gateway.sign(BODY, SECRET_KEY)

    assert_refused(
        deliver(client, BODY, Signature=signature),
        problem(
            "unavailable",
            "The service is not available now.",
            503,
            detail="No webhook secret is configured.",
        ),
    )


def test_w06_the_previous_secret_is_taken_during_a_rotation_and_not_after(
    client, settings
):
    settings.PAYCHANGU_WEBHOOK_SECRET = "the-new-one"
    settings.PAYCHANGU_WEBHOOK_SECRET_PREVIOUS = WEBHOOK_SECRET
    assert deliver(client, BODY).status_code == 200
    assert GatewayEvent.objects.get().signed_by == "previous"

    settings.PAYCHANGU_WEBHOOK_SECRET_PREVIOUS = ""

    assert deliver(client, BODY).status_code == 401


def test_the_api_key_is_taken_as_some_deployments_sign_with_it(client):
    assert deliver(client, BODY, secret=SECRET_KEY).status_code == 200
    assert GatewayEvent.objects.get().signed_by == "api"


def test_w07_two_signatures_are_refused(client):
    right = gateway.sign(BODY, WEBHOOK_SECRET)

    # As servers join headers of one name.
    assert_refused(deliver(client, BODY, Signature=f"{right},{right}"), FORGED)


@pytest.mark.parametrize(
    "odd",
    [
        lambda right: right.upper(),
        lambda right: f" {right} x",
        lambda right: f"sha256={right}",
        lambda right: "é" * 64,
        lambda right: "\udcff" * 64,
        lambda right: "0" * 1_000_000,
    ],
)
def test_w08_an_odd_signature_is_refused(client, odd):
    signature = odd(gateway.sign(BODY, WEBHOOK_SECRET))

    answer = client.post(
        WEBHOOK, BODY, content_type="application/json", HTTP_SIGNATURE=signature
    )

    assert_refused(answer, FORGED)


def test_w10_the_secret_of_another_environment_is_refused(client):
    assert_refused(deliver(client, BODY, secret="webhook-secret-of-live"), FORGED)


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "head", "options"])
def test_w11_only_post_is_taken(client, method):
    answer = getattr(client, method)(WEBHOOK)

    assert answer.status_code == 405
    assert answer["Allow"] == "POST"
    assert not GatewayEvent.objects.exists()


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "application/xml",
    ],
)
def test_w12_only_json_is_taken(client, content_type):
    assert_refused(
        deliver(client, BODY, content_type=content_type),
        problem("unsupported-media-type", "The request's body is not JSON.", 415),
    )


@pytest.mark.parametrize("amount", [b"NaN", b"Infinity", b"-Infinity", b"1e400"])
def test_w13_an_amount_that_is_no_number_is_stored(client, amount):
    body = BODY.replace(b"1000", amount)

    assert deliver(client, body).status_code == 200
    assert bytes(GatewayEvent.objects.get().body) == body


def test_w14_names_that_stand_twice_are_stored(client):
    body = BODY.replace(b'"amount": 1000', b'"amount": 1000, "amount": 1')

    assert deliver(client, body).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        BODY.replace(b"1000", b"1" * 5000),
        BODY.replace(b'"null"', b"[" * 30_000 + b"]" * 30_000),
        BODY.replace(b'"null"', b'"\xff"'),
        b"\xef\xbb\xbf" + BODY,
        BODY.replace(b'"null"', b'"\\ud800"'),
        BODY.replace(b'"null"', b'"\\u0000"'),
        b"not json",
        b'{"event_type": ',
    ],
    ids=[
        "w15-5000-digits",
        "w16-nested",
        "w17-utf8",
        "w17-bom",
        "w17-surrogate",
        "w17-nul",
        "text",
        "cut-off",
    ],
)
def test_w15_w16_w17_a_signed_body_that_cannot_be_read_is_refused(client, body):
    detail = "The body is not readable JSON."

    assert_refused(
        deliver(client, body),
        problem(
            "invalid-request",
            "The request does not have the expected form.",
            400,
            errors=[{"pointer": "#", "code": "parse_error", "detail": detail}],
        ),
    )


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b'"text"', b'{"a": 1}'])
def test_w17_signed_json_that_is_no_known_event_is_stored(client, body):
    assert deliver(client, body).status_code == 200
    assert GatewayEvent.objects.count() == 1


def test_w18_a_body_that_is_too_large_is_refused_before_it_is_read(client):
    body = b" " * webhooks.BODY_LENGTH_MAX + b"{}"

    assert_refused(
        deliver(client, body),
        problem(
            "payload-too-large",
            "The request's body is too large.",
            413,
            limit=webhooks.BODY_LENGTH_MAX,
        ),
    )


def test_w18_the_largest_body_is_taken(client):
    body = b" " * (webhooks.BODY_LENGTH_MAX - 2) + b"{}"

    assert deliver(client, body).status_code == 200


def test_w19_a_compressed_body_is_refused(client):
    answer = deliver(client, gzip.compress(BODY), **{"Content-Encoding": "gzip"})

    assert_refused(
        answer,
        problem("unsupported-media-type", "The request's body is not JSON.", 415),
    )


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "９"])
def test_a_length_that_is_no_number_is_refused(client, length):
    answer = client.post(
        WEBHOOK, BODY, content_type="application/json", CONTENT_LENGTH=length
    )

    assert 400 <= answer.status_code < 500


@pytest.mark.parametrize("url", [WEBHOOK, f"{WEBHOOK}/"])
def test_both_forms_of_the_address_answer_without_a_redirect(client, url):
    assert deliver(client, BODY, url=url).status_code == 200


def test_the_same_event_again_is_counted_on_the_same_row(client):
    for _ in range(5):
        assert deliver(client, BODY).status_code == 200

    assert GatewayEvent.objects.get().deliveries == 5


def test_no_session_and_no_csrf_token_is_needed(db):
    client = Client(enforce_csrf_checks=True)

    assert deliver(client, BODY).status_code == 200


def test_in_a_rush_of_events_a_worker_is_woken_once(committed, client):
    from procrastinate.contrib.django.models import ProcrastinateJob

    for number in range(5):
        assert deliver(client, encode({"number": number})).status_code == 200

    assert GatewayEvent.objects.count() == 5
    assert ProcrastinateJob.objects.get().task_name == "payments.process_events"


def test_a_connection_that_was_lost_while_idle_is_made_again(committed, client):
    assert deliver(client, encode({"number": 1})).status_code == 200
    with psycopg.connect(database_url(committed), autocommit=True) as other:
        ended = other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchall()
    assert ended

    assert deliver(client, encode({"number": 2})).status_code == 200

    assert GatewayEvent.objects.count() == 2


def test_w43_without_the_database_the_gateway_is_asked_to_deliver_again(
    committed, client
):
    from django.db import connection

    address = dict(connection.settings_dict)
    connection.close()
    connection.settings_dict.update(HOST="127.0.0.1", PORT="9")
    try:
        answer = deliver(client, BODY)
    finally:
        connection.close()
        connection.settings_dict.update(address)

    assert answer["Retry-After"] == "60"
    assert_refused(
        answer,
        problem(
            "unavailable",
            "The service is not available now.",
            503,
            detail="Please deliver it again.",
        ),
    )
    assert deliver(client, BODY).status_code == 200
