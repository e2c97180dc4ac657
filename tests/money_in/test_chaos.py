"""Purchases while the gateway goes down, the worker is killed and the queue is emptied.

After the faults have ended nobody touches anything, and all that was paid is credited
within a minute. CHAOS_PURCHASES is how many, CHAOS_SEED what all is drawn from; how
long each thing takes is the machine's affair.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest

from payments.models import CreditPurchase
from tests.journeys import people
from tests.money_in.chaos import Chaos, Shop, kept_running
from tests.simulator_process import until
from tests.system import System, start_system
from wallets.models import CreditTransaction, CreditTransfer

PURCHASES = int(os.environ.get("CHAOS_PURCHASES") or 200)
SEED = int(os.environ.get("CHAOS_SEED") or secrets.randbelow(2**32))
HEALED_WITHIN_SECONDS = 60.0
_BUYERS = 8


@pytest.fixture
def system(committed: str) -> Iterator[System]:
    # A gateway that does not answer is given up sooner than in production, where it
    # may take half a minute: the faults are as many, the test is shorter.
    with start_system(committed, PAYCHANGU_TIMEOUT_SECONDS="5") as running:
        yield running


def test_after_the_faults_all_that_is_paid_is_credited_within_a_minute(
    system: System, tmp_path: Path
):
    sys.stdout.write(f"\nCHAOS_PURCHASES={PURCHASES} CHAOS_SEED={SEED}\n")
    buyers = [people.new_person(system, "buyer")[0] for _ in range(_BUYERS)]
    shop = Shop(system=system, package=people.new_package(), seed=SEED)
    chaos = Chaos(system=system, state=tmp_path / "gateway.sqlite3", seed=SEED)

    with kept_running(system), ThreadPoolExecutor(_BUYERS) as queue:
        orders = [
            queue.submit(shop.buy, buyers[number % _BUYERS], number)
            for number in range(PURCHASES)
        ]

        def all_done() -> bool:
            return all(order.done() for order in orders)

        while not all_done():
            chaos.strike(progress=lambda: shop.steps, is_over=all_done)
        names = {order.result() for order in orders}
        chaos.mend()
        ended_at = time.monotonic()

        paid = _paid_at_the_gateway(system)
        _await_credits(paid)

    sys.stdout.write(f"{dict(chaos.done)}\n{len(paid)} paid, all of them credited")
    sys.stdout.write(f" {time.monotonic() - ended_at:.1f} s after the faults\n")
    assert len(names) == PURCHASES
    assert 0 < len(paid) < PURCHASES
    _each_is_credited_once(paid)


def _paid_at_the_gateway(system: System) -> set[str]:
    payments = system.simulator.control.state()["payments"]
    return {one["tx_ref"] for one in payments if one["status"] == "success"}


def _await_credits(paid: set[str]) -> None:
    try:
        until(lambda: paid <= _credited(), seconds=HEALED_WITHIN_SECONDS)
    except AssertionError:
        # What they wait for tells more than their names.
        for row in CreditPurchase.objects.filter(tx_ref__in=paid - _credited()):
            sys.stdout.write(
                f"{row.tx_ref} {row.status} {row.gateway_status!r} checked"
                f" {row.checked_at} again {row.next_check_at}\n"
            )
        raise


def _credited() -> set[str]:
    return set(
        CreditPurchase.objects.filter(status="paid").values_list("tx_ref", flat=True)
    )


def _each_is_credited_once(paid: set[str]) -> None:
    assert _credited() == paid
    purchases = CreditPurchase.objects.filter(tx_ref__in=paid)
    keys = {f"purchase:{pk}" for pk in purchases.values_list("pk", flat=True)}
    transfers = CreditTransfer.objects.filter(key__startswith="purchase:")
    assert Counter(transfers.values_list("key", flat=True)) == Counter(keys)
    given = CreditTransaction.objects.filter(transfer__in=transfers, amount__gt=0)
    assert [*given.values_list("amount", flat=True)] == [Decimal("100.00")] * len(paid)
