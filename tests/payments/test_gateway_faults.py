"""The client when the network or the gateway misbehaves, on real sockets."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from payments.gateway import Failure, GatewayUnavailable, PayoutOutcome, PayoutResult
from tests.payments.canned_gateway import (
    SECRET_KEY,
    Answer,
    CannedGateway,
    client_of,
    documented,
    http,
    reset,
)
from tests.payments.test_gateway import CHECKOUT
from tests.payments.test_gateway_payouts import BANK_PAYOUT

HTML = b"<html><body>502 Bad Gateway</body></html>"


def send(answer: Answer, *, seconds: float = 5) -> PayoutResult:
    """Send a payout to a gateway that answers so; it must be asked exactly once."""
    with CannedGateway(answer) as canned:
        result = canned.client(seconds=seconds).send_bank_payout(**BANK_PAYOUT)
    assert len(canned.requests) == 1
    return result


def envelope(message: Any, data: Any = None) -> dict[str, Any]:
    return {"status": "failed", "message": message, "data": data}


@contextmanager
def silent_port() -> Iterator[str]:
    """A port whose queue is full, so that connecting to it takes for ever."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = []
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
            waiting.append(one)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            for one in waiting:
                one.close()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


# Sending a payout


@pytest.mark.parametrize("status", [200, 201, 202])
def test_any_2xx_is_accepted(status):
    answer = http(documented("payout_nested.json"), status=status)

    assert send(answer).outcome is PayoutOutcome.ACCEPTED


@pytest.mark.parametrize(
    "answer",
    [
        http(b""),
        http(b"{"),
        http(HTML, kind="text/html"),
        http(b"{}", length=500),
        lambda peer: peer.sendall(b"HTTP/1.1 200"),
    ],
    ids=["empty", "truncated", "HTML", "cut off", "cut off in the head"],
)
def test_2xx_with_a_body_that_cannot_be_read_is_accepted_with_nothing_known(answer):
    result = send(answer)

    assert result.outcome is PayoutOutcome.ACCEPTED
    assert (result.status, result.amount, result.reference) == ("", None, "")


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("name", ["refused_text.json", "refused_fields.json"])
def test_400_and_422_with_the_envelope_saying_failed_are_conclusive(status, name):
    assert send(http(documented(name), status=status)).outcome is PayoutOutcome.REJECTED


@pytest.mark.parametrize(
    "message",
    [
        "charge_id already used",
        "Duplicate transaction",
        {"charge_id": ["The charge id has already been taken."]},
    ],
)
def test_rejection_because_it_was_sent_before_is_not_conclusive(message):
    result = send(http(envelope(message), status=400))

    assert result.outcome is PayoutOutcome.UNKNOWN


def test_400_that_tells_of_a_transaction_is_not_conclusive():
    body = envelope("Transaction not created.", {"charge_id": "w", "status": "pending"})

    assert send(http(body, status=400)).outcome is PayoutOutcome.UNKNOWN


@pytest.mark.parametrize(
    "answer",
    [
        http(HTML, status=400),
        http({"message": "no envelope"}, status=400),
        http({"status": "success", "message": "?", "data": None}, status=422),
        http(envelope("Unauthorized"), status=401),
        http(envelope("Forbidden"), status=403),
        http(envelope("Not found"), status=404),
        http(envelope("Method"), status=405),
        http(envelope("Conflict"), status=409),
        http(b"", status=302, headers="Location: http://127.0.0.1:9/\r\n"),
        http(envelope("Server Error"), status=500),
        http(HTML, status=502),
        http(HTML, status=504),
        http(documented("refused_text.json")[:-5], status=400),
        reset,
        lambda peer: None,
        lambda peer: peer.sendall(b"not http at all\r\n\r\n"),
    ],
)
def test_every_other_answer_leaves_the_outcome_unknown(answer):
    assert send(answer).outcome is PayoutOutcome.UNKNOWN


def test_429_is_not_sent_and_says_when_to_try_again():
    answer = http(envelope("Slow down"), status=429, headers="Retry-After: 17\r\n")

    result = send(answer)

    assert (result.outcome, result.retry_after) == (PayoutOutcome.NOT_SENT, 17)


def test_refused_connection_is_not_sent():
    client = client_of(f"http://127.0.0.1:{free_port()}")

    result = client.send_bank_payout(**BANK_PAYOUT)

    assert result.outcome is PayoutOutcome.NOT_SENT
    assert (result.failure, result.http_status) == (Failure.NOT_CONNECTED, None)


def test_time_out_while_connecting_is_not_sent():
    with silent_port() as base_url:
        result = client_of(base_url, seconds=0.2).send_bank_payout(**BANK_PAYOUT)

    assert result.outcome is PayoutOutcome.NOT_SENT


def test_time_out_while_waiting_for_the_answer_is_unknown():
    with CannedGateway(lambda peer: canned.never_answer(peer)) as canned:
        result = canned.client(seconds=0.3).send_bank_payout(**BANK_PAYOUT)
        canned.is_over.set()

    assert result.outcome is PayoutOutcome.UNKNOWN
    assert result.failure is Failure.TIMED_OUT


@pytest.mark.parametrize("part", ["head", "body"])
def test_answer_that_drips_is_cut_off_in_time(part):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"

    def drip(peer: socket.socket) -> None:
        if part == "body":
            peer.sendall(head)
        else:
            peer.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not canned.is_over.wait(0.05):
            peer.sendall(b"x")

    with CannedGateway(drip) as canned:
        started = time.monotonic()
        result = canned.client(seconds=0.3).send_bank_payout(**BANK_PAYOUT)
        took = time.monotonic() - started
        canned.is_over.set()

    assert took < 3
    assert result.failure is Failure.TIMED_OUT
    # The status line was there, and 2xx is accepted.
    assert result.outcome is PayoutOutcome.ACCEPTED


def test_certificate_of_another_name_is_not_sent(tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path))
    seen = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                try:
                    with context.wrap_socket(peer, server_side=True) as secured:
                        seen.append(secured.recv(1000))
                except OSError:
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        port = listener.getsockname()[1]
        client = client_of(f"https://127.0.0.1:{port}")
        result = client.send_bank_payout(**BANK_PAYOUT)
        thread.join(timeout=10)

    assert result.outcome is PayoutOutcome.NOT_SENT
    assert seen in ([], [b""])


def certificate(folder: Path) -> Path:
    """Write a certificate of nobody, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "elsewhere.example")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / "both.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


# Asking


UNUSABLE = {
    "HTML": http(HTML, kind="text/html"),
    "HTML 502": http(HTML, status=502),
    "JSON 500": http(envelope("Server Error"), status=500),
    "truncated": http(documented("verify_paid.json")[:100]),
    "cut off": http(documented("verify_paid.json"), length=5000),
    "empty": http(b""),
    "a list": http(b"[]"),
    "NaN": http(b'{"status":"success","data":{"status":"success","amount":NaN}}'),
    "twice": http(
        b'{"status":"failed","status":"success","data":{"status":"success"}}'
    ),
    "redirect": http(b"", status=302, headers="Location: http://127.0.0.1:9/\r\n"),
    "unauthorized": http(envelope("Unauthorized"), status=401),
    "too many": http(envelope("Slow down"), status=429),
    "huge": http(b'{"a":"' + b"x" * 2_000_000 + b'"}'),
    "reset": reset,
    "closed": lambda peer: None,
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_answer_that_cannot_be_relied_on_is_an_outage_and_never_a_status(name):
    with (
        CannedGateway(UNUSABLE[name]) as canned,
        pytest.raises(GatewayUnavailable) as outage,
    ):
        canned.client().verify("PA54231315")

    assert len(canned.requests) == 1
    assert (outage.value.code, outage.value.status) == ("gateway-unavailable", 502)
    assert SECRET_KEY not in f"{outage.value!s}{outage.value.extra}"
    assert outage.value.exchange is not None
    json.dumps(outage.value.exchange.summary)


def test_gateway_that_does_not_answer_is_an_outage():
    with CannedGateway(lambda peer: canned.never_answer(peer)) as canned:
        with pytest.raises(GatewayUnavailable, match="in time"):
            canned.client(seconds=0.3).verify("PA54231315")
        canned.is_over.set()


def test_gateway_that_is_not_there_is_an_outage():
    client = client_of(f"http://127.0.0.1:{free_port()}")

    with pytest.raises(GatewayUnavailable, match="cannot be reached"):
        client.balance()


def test_checkout_is_never_posted_twice():
    with (
        CannedGateway(http(HTML, status=503)) as canned,
        pytest.raises(GatewayUnavailable),
    ):
        canned.client().start_checkout(**CHECKOUT)

    assert len(canned.requests) == 1


def test_redirect_is_not_followed_and_the_key_goes_nowhere_else():
    with CannedGateway(http(documented("verify_paid.json"))) as elsewhere:
        location = f"Location: {elsewhere.base_url}/verify-payment/a\r\n"
        with (
            CannedGateway(http(b"", status=307, headers=location)) as canned,
            pytest.raises(GatewayUnavailable),
        ):
            canned.client().verify("PA54231315")

    assert elsewhere.requests == []


def test_a_proxy_of_the_environment_does_not_get_what_is_for_loopback(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("NO_PROXY", "")
    with CannedGateway(http(documented("balance.json"))) as canned:
        balance = canned.client().balance()

    assert balance.currency == "MWK"
