"""Our contestants: the ledger's own verbs, with everything that guards them."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from decimal import Decimal
from itertools import count
from random import Random
from typing import Any

from tests.benchmarks import database, hand
from tests.benchmarks.workers import Contestant

PRICE = Decimal("0.01")
# How many transfers `post_many` gets at once.
MANY = 1000
# Each process that posts many has as many wallets to itself as hand has in all:
# batches that lock each other's wallets would take turns. All others share the first.
PROCESSES_MAX = 4
WALLETS = hand.WALLETS * PROCESSES_MAX
LEDGER = "ledger"


def prepare(name: str, users: int = WALLETS) -> None:
    """Make a migrated database of users whose wallets are full."""
    from django.core.management import call_command

    database.create(name)
    database.use(name)
    call_command("migrate", verbosity=0)
    seed(users)
    database.use("postgres")
    # As autovacuum does within a minute where there is one.
    database.run(name, "VACUUM ANALYZE")


def seed(users: int) -> None:
    """Give `users` wallets that are full."""
    from django.contrib.auth.models import User

    from wallets import services
    from wallets.system import system_wallet_id

    User.objects.bulk_create(
        [User(username=f"bench-{number}") for number in range(users)]
    )
    services.open_missing_wallets()
    source = system_wallet_id("opening")
    full = Decimal(hand.BALANCE)
    for start in range(0, users, MANY):
        services.post_many(
            [
                services.Posting(legs=legs_of(source, wallet, full), key=f"{wallet}")
                for wallet in wallet_ids()[start : start + MANY]
            ]
        )


def wallet_ids() -> list[uuid.UUID]:
    """Return the users' wallets, always in the same order."""
    from wallets.models import CreditWallet

    wallets = CreditWallet.objects.filter(user__username__startswith="bench-")
    return list(wallets.order_by("user_id").values_list("pk", flat=True))


def legs_of(source: uuid.UUID, target: uuid.UUID, amount: Decimal) -> tuple[Any, Any]:
    """Return the two legs of a transfer."""
    from wallets.services import Leg

    return (
        Leg(wallet_id=source, amount=-amount, transaction_type="transfer"),
        Leg(wallet_id=target, amount=amount, transaction_type="transfer"),
    )


def contestant(kind: str, number: int, of: int) -> Contestant:
    """Return process `number` of a kind: random, hot, purchase or many."""
    from django.db import connection

    from wallets import services
    from wallets.system import system_wallet_id

    first = number * hand.WALLETS if kind == "many" else 0
    ids = wallet_ids()[first : first + hand.WALLETS]
    assert len(ids) == hand.WALLETS, "more processes than ranges of wallets"
    random = Random(os.getpid())  # noqa: S311 - chooses wallets
    mark, numbers = uuid.uuid4().hex, count()

    def legs() -> tuple[Any, Any]:
        if kind == "hot":
            return legs_of(random.choice(ids[1:]), ids[0], PRICE)
        if kind == "purchase":
            # As a purchase takes it out of `issued`, whose balance has to equal what
            # was sold; `promotions` has as many parts.
            source = system_wallet_id("promotions", cause=uuid.uuid4())
            return legs_of(source, random.choice(ids), PRICE)
        source, target = random.sample(ids, 2)
        return legs_of(source, target, PRICE)

    def one() -> int:
        services.post(*legs(), key=f"{mark}:{next(numbers)}")
        return 1

    def many() -> int:
        postings = [
            services.Posting(legs=legs(), key=f"{mark}:{next(numbers)}")
            for _ in range(MANY)
        ]
        return len(services.post_many(postings))

    move: Callable[[], int] = many if kind == "many" else one
    warm_up = 1 if kind == "many" else 10
    return Contestant(move=move, driver=connection.connection, warm_up=warm_up)


def transfers(name: str) -> int:
    """Return how many transfers a ledger has."""
    ((found,),) = database.run(name, "SELECT count(*) FROM credit_transfers")
    return int(found)


def breaks(
    name: str,
    *,
    with_guards: bool = True,
    progress: Callable[[str], None] = lambda line: None,
) -> list[str]:
    """Return every place where a ledger's books, or its guards, are wrong."""
    from wallets import proof

    database.use(name)
    found = [
        f"{name}: {each.invariant} {each.subject}: {each.detail}"
        for each in proof.breaks(progress=progress)
        if with_guards or each.invariant != "guard"
    ]
    database.use("postgres")
    return found
