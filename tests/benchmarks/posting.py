"""Processes that post as fast as they can, and what it costs them and the server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from random import Random
from typing import Any

from tests.benchmarks import database

PRICE = Decimal("0.01")
# Of a kind's name: what its transfers are.
KINDS = ("random", "hot", "purchase", "many")
MANY = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """What some processes got done together.

    `python_ms` and `server_ms` are processor time for each transfer: of the process
    itself, and of the server's process that serves it.
    """

    per_second: float
    python_ms: float
    server_ms: float


def measure(kind: str, *, processes: int, seconds: float) -> Speed:
    """Run `processes` that post transfers of a kind on the database in use."""
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.posting", kind, str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(processes)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    # All start when the last is ready.
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    results = [json.loads(child.communicate()[0]) for child in children]
    assert all(child.returncode == 0 for child in children)
    done = sum(result["done"] for result in results)
    return Speed(
        per_second=sum(result["done"] / result["seconds"] for result in results),
        python_ms=sum(result["python_seconds"] for result in results) / done * 1000,
        server_ms=sum(result["server_seconds"] for result in results) / done * 1000,
    )


def seed(users: int = 1000) -> None:
    """Give `users` wallets that are full."""
    from django.contrib.auth.models import User

    from wallets import services
    from wallets.system import system_wallet_id

    made = User.objects.bulk_create(
        [User(username=f"bench-{number}") for number in range(users)]
    )
    services.open_missing_wallets()
    source = system_wallet_id("opening")
    for start in range(0, users, 1000):
        services.post_many(
            [
                services.Posting(
                    legs=legs_of(
                        source,
                        services.wallet_id_of(user_id=user.pk),
                        Decimal(1_000_000),
                    ),
                    key=f"bench:{user.pk}",
                )
                for user in made[start : start + 1000]
            ]
        )


def legs_of(source: uuid.UUID, target: uuid.UUID, amount: Decimal) -> tuple[Any, Any]:
    """Return the two legs of a transfer."""
    from wallets.services import Leg

    return (
        Leg(wallet_id=source, amount=-amount, transaction_type="transfer"),
        Leg(wallet_id=target, amount=amount, transaction_type="transfer"),
    )


def _work(kind: str) -> Iterator[Callable[[], int]]:
    """Yield the next piece of work again and again: does it, returns its transfers."""
    from wallets import services
    from wallets.models import CreditWallet
    from wallets.system import system_wallet_id

    wallets = CreditWallet.objects.filter(user__username__startswith="bench-")
    ids = list(wallets.order_by("user_id").values_list("pk", flat=True))
    random = Random(os.getpid())  # noqa: S311 - chooses wallets
    mark = uuid.uuid4().hex

    def legs() -> tuple[Any, Any]:
        if kind == "hot":
            return legs_of(random.choice(ids[1:]), ids[0], PRICE)
        if kind == "purchase":
            cause = uuid.uuid4()
            # As a purchase takes it out of `issued`, whose balance has to equal what
            # was sold; `promotions` has as many parts.
            source = system_wallet_id("promotions", cause=cause)
            return legs_of(source, random.choice(ids), PRICE)
        source, target = random.sample(ids, 2)
        return legs_of(source, target, PRICE)

    for number in count():
        key = f"{mark}:{number}"
        if kind == "many":
            postings = [
                services.Posting(legs=legs(), key=f"{key}:{part}")
                for part in range(MANY)
            ]
            yield lambda postings=postings: len(services.post_many(postings))  # type: ignore[misc]
        else:
            pair = legs()
            yield lambda pair=pair, key=key: bool(services.post(*pair, key=key))  # type: ignore[misc]


def main(kind: str, seconds: float) -> None:
    """Be one of the processes: wait for the start, work, and tell what it cost."""
    import django

    django.setup()
    from django.db import connection

    work = _work(kind)
    # The first few compile, connect and prepare.
    for _ in range(2 if kind == "many" else 10):
        next(work)()
    backend = connection.connection.info.backend_pid
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    server, python, started = (
        database.cpu_seconds(backend),
        time.process_time(),
        time.perf_counter(),
    )
    done = 0
    while time.perf_counter() - started < seconds:
        done += next(work)()
    result = {
        "done": done,
        "seconds": time.perf_counter() - started,
        "python_seconds": time.process_time() - python,
        "server_seconds": database.cpu_seconds(backend) - server,
    }
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
