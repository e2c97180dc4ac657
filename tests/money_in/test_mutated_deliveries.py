"""Spoiled deliveries by the thousand: no error, and no credit without a payment.

MUTATED_DELIVERIES is how many, in two halves; MUTATED_SEED is what they are drawn from.
Each goes in by the endpoint, and what is kept is processed as a worker does.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
import re
import secrets
import sys
from collections import Counter
from collections.abc import Iterator

import pytest
from django.db import connection
from django.test import Client

from payments import gateway, services
from payments.models import GatewayEvent
from tests.money_in.mutations import Delivery, Mutator
from tests.money_in.orders import (
    Orders,
    make_orders,
    names_of,
    no_credit_but_for_the_paid,
)
from tests.payments.buying import WEBHOOK, now_of
from tests.payments.conftest import _simulator as _simulator
from tests.payments.conftest import simulator as simulator
from tests.simulator_process import SimulatorProcess

DELIVERIES = int(os.environ.get("MUTATED_DELIVERIES") or 10_000)
SEED = int(os.environ.get("MUTATED_SEED") or secrets.randbelow(2**32))
_BATCH = 1000
# As it comes, which may be without quotes, and as it is kept.
_ACCOUNT = re.compile(rb'("(?:bank_)?account_number"\s*:\s*)("[+0-9 *-]*"|[0-9]+)')
# Whatever is wrong with a delivery, the answer is one of these.
_ANSWERS = {200, 400, 401, 413}


@pytest.fixture
def orders(committed: str, simulator: SimulatorProcess) -> Orders:
    """Purchases by what the gateway knows of them."""
    with connection.cursor() as cursor:
        # What a crash would lose does not matter here.
        cursor.execute("SET synchronous_commit = off")
    return make_orders(simulator)


@pytest.fixture
def quiet() -> Iterator[None]:
    """No warning for each of thousands that are refused."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("half", [0, 1])
def test_no_spoiled_delivery_is_an_error_or_credits_what_is_not_paid(
    half, orders, simulator
):
    seed = SEED + half
    sys.stdout.write(f"\nMUTATED_DELIVERIES={DELIVERIES} MUTATED_SEED={SEED}\n")
    mutator = Mutator(seed=seed, names=names_of(orders))
    client = Client(raise_request_exception=False)
    kept: dict[str, bytes] = {}
    answers: Counter[str] = Counter()
    processed: set[str] = set()

    for start in range(0, DELIVERIES // 2, _BATCH):
        count = min(_BATCH, DELIVERIES // 2 - start)
        for delivery in (mutator.draw() for _ in range(count)):
            status = _deliver(client, delivery)
            answers[f"{delivery.kind.partition(',')[0]} {status}"] += 1
            assert status in _ANSWERS, (seed, delivery)
            assert (status == 401) == (not delivery.is_signed) or status == 413
            if status == 200:
                kept[hashlib.sha256(delivery.body).hexdigest()] = delivery.body
        _process(seed, processed)
        no_credit_but_for_the_paid(orders)

    # All that came, byte for byte but for the numbers of accounts.
    bodies = dict(GatewayEvent.objects.values_list("digest", "body"))
    assert bodies.keys() == kept.keys()
    for digest, body in bodies.items():
        _assert_kept(bytes(body), kept[digest])
    # It reached what it is about: paid ones were credited, odd ones put aside.
    assert {now_of(one).status for one in orders["paid"]} == {"paid"}
    outcomes = Counter(GatewayEvent.objects.values_list("status", flat=True))
    assert outcomes["processed"] > 0
    assert outcomes["parked"] > 0
    sys.stdout.write(f"{dict(sorted(answers.items()))}\n")
    sys.stdout.write(
        f"{len(kept)} kept, {len(processed)} processed: {dict(outcomes)}\n"
    )


def _assert_kept(body: bytes, came: bytes) -> None:
    """See that at most numbers of accounts changed, to stars but for three digits."""
    assert _ACCOUNT.sub(rb"\1", body) == _ACCOUNT.sub(rb"\1", came)
    for now, then in zip(_ACCOUNT.findall(body), _ACCOUNT.findall(came), strict=True):
        number, whole = now[1].strip(b'"'), then[1].strip(b'"')
        masked = b"*" * max(len(whole) - 3, 3) + whole[-3:]
        assert number in (whole, masked), body


def _deliver(client: Client, delivery: Delivery) -> int:
    headers = {"Signature": delivery.signature} if delivery.signature else {}
    answer = client.generic(
        "POST",
        WEBHOOK,
        delivery.body,
        headers=headers,
        # Said here as well, as the client leaves it out where there is no body.
        CONTENT_TYPE="application/json",
    )
    return int(answer.status_code)


def _process(seed: int, seen: set[str]) -> None:
    """Process, once, what has come in, as a worker does.

    Of those that read the same to the last field, the first: `seen` tells which were.
    """
    fresh = GatewayEvent.objects.filter(attempts=0)
    for pk, body in list(fresh.values_list("pk", "body")):
        reading = _reading(body)
        if reading in seen:
            continue
        seen.add(reading)
        event = services.process_event(event_id=pk)
        assert event.attempts == 1, (seed, bytes(event.body))
        assert event.outcome, (seed, bytes(event.body))
    fresh.update(attempts=1)


def _reading(body: bytes | memoryview) -> str:
    return repr(dataclasses.replace(gateway.parse_event(bytes(body)), raw={}))
