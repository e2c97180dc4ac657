"""The least that Python can do for the ledger: its two statements and nothing else.

They are the ledger's own, on its tables and with all guards, sent by libpq in two round
trips: what `post` would be if checks, Django and the driver's Python took no time. It
is here as a limit. Who leaves all that out has no ledger.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from decimal import Decimal
from itertools import count
from random import Random
from typing import Any

import psycopg
from django.conf import settings
from django.db import transaction
from psycopg.pq import ExecStatus

from credits_project.ids import new_id
from tests.benchmarks import hand, ours
from tests.benchmarks.workers import Contestant
from wallets import statements

_BEGUN = [ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK, ExecStatus.PIPELINE_SYNC]
_DONE = [ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK, ExecStatus.PIPELINE_SYNC]


def contestant(kind: str, number: int, of: int) -> Contestant:
    """Return a contestant by its kind: random or hot."""
    driver = psycopg.connect(
        os.environ["DATABASE_URL"],
        autocommit=True,
        options=settings.DATABASES["default"]["OPTIONS"]["options"],
    )
    # The driver's own way of making the statement needs a transaction, and sends none.
    with transaction.atomic():
        look = statements._lock_statement()
    server = driver.pgconn
    for name, text in ((b"look", look), (b"move", statements._WRITE)):
        assert server.prepare(name, text.encode()).status == ExecStatus.COMMAND_OK
    server.enter_pipeline_mode()
    move = _mover(server, ours.wallet_ids()[: hand.WALLETS], is_hot=kind == "hot")
    return Contestant(move=move, driver=driver)


def _mover(server: Any, ids: list[Any], *, is_hot: bool) -> Callable[[], int]:
    random = Random(os.getpid())  # noqa: S311 - chooses wallets
    mark, numbers = os.urandom(16).hex(), count()

    def move() -> int:
        if is_hot:
            source, target = str(random.choice(ids[1:])), str(ids[0])
        else:
            source, target = map(str, random.sample(ids, 2))
        server.send_query_params(b"BEGIN", None)
        server.send_query_prepared(b"look", [f"{{{source},{target}}}".encode()])
        _, found, _ = _results(server, _BEGUN)
        decided = _decided(found, source, target, key=f"{mark}:{next(numbers)}")
        server.send_query_prepared(b"move", [text.encode() for text in decided])
        server.send_query_params(b"COMMIT", None)
        _results(server, _DONE)
        return 1

    return move


def _decided(found: Any, source: str, target: str, *, key: str) -> tuple[str, ...]:
    """Return the parameters of the write."""
    wallets = {
        found.get_value(row, 0).decode(): (
            Decimal(found.get_value(row, 1).decode()),
            int(found.get_value(row, 3)) + 1,
            found.get_value(row, 6).decode(),
        )
        for row in range(found.ntuples)
    }
    (had, nth, at), (got, mth, to) = wallets[source], wallets[target]
    price, id = ours.PRICE, new_id()
    paid, has = had - price, got + price
    return (
        f'{{"{at}","{to}"}}',
        f"{{{key}}}",
        f"{{{source},{target}}}",
        f'{{"({source},{paid},{nth})","({target},{has},{mth})"}}',
        f'{{"({id},{key},\\"\\",,,{{}})"}}',
        f'{{"({id},{source},{nth},transfer,{-price},{had},{paid})",'
        f'"({id},{target},{mth},transfer,{price},{got},{has})"}}',
    )


def _results(server: Any, expected: list[ExecStatus]) -> list[Any]:
    """Return what came back for everything that was sent."""
    server.pipeline_sync()
    results = []
    for status in expected:
        result = server.get_result()
        assert result.status == status, result.error_message
        results.append(result)
        if status != ExecStatus.PIPELINE_SYNC:
            assert server.get_result() is None
    return results
