"""The bank test: processes move credits at random while others look at everything.

Whatever they do, the total stays what it was, nobody owes credits, and what was
acknowledged is there once. BANK_OPERATIONS is how many operations each client does,
BANK_SEED what they are drawn from.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import Permission

from tests.bank.books import Books, read_books
from tests.bank.clients import Clients, Plan
from tests.bank.judge import Mistake, judge
from tests.bank.record import History
from tests.bank.web import Web
from tests.factories import PASSWORD, make_user
from tests.postgres import database_url

OPERATIONS = int(os.environ.get("BANK_OPERATIONS") or 80)
SEED = int(os.environ.get("BANK_SEED") or secrets.randbelow(2**32))
# A long run is as long as its number of operations makes it.
SECONDS = 120 + OPERATIONS


_BARE = (
    "CREATE SCHEMA bare",
    "CREATE TABLE bare.credit_wallets AS SELECT * FROM credit_wallets",
    "CREATE TABLE bare.credit_transfers AS SELECT id, description"
    " FROM credit_transfers",
    "CREATE TABLE bare.credit_transactions AS SELECT transfer_id, wallet_id, sequence,"
    " amount, balance_after FROM credit_transactions",
)


def make_players(count: int) -> list[str]:
    return [str(make_user("player", balance="10.00").pk) for _ in range(count)]


def make_api_clients(count: int) -> list[str]:
    permission = Permission.objects.get(codename="transfer_credits")
    clients = [make_user("client", password=PASSWORD) for _ in range(count)]
    for client in clients:
        client.user_permissions.add(permission)
    return [client.email for client in clients]


def run(folder: Path, url: str, **plan: Any) -> tuple[History, list[Mistake]]:
    """Let clients loose on the database; return what they did and the judgment."""
    opening: Books = read_books(url)
    plan = {"operations": OPERATIONS, "seed": SEED, **plan}
    with Clients(Plan(folder=str(folder), database_url=url, **plan)) as clients:
        clients.finish(seconds=SECONDS)
    history = History.of(folder)
    sys.stdout.write(f"BANK_SEED={SEED}: {dict(history.counts())}\n")
    return history, judge(history, opening=opening, closing=read_books(url))


def test_random_transfers_between_eight_wallets_keep_every_promise(committed, tmp_path):
    players, emails = make_players(8), make_api_clients(2)
    url = database_url(committed)
    with Web(url) as web:
        web.start()
        history, mistakes = run(
            tmp_path,
            url,
            users=players,
            doors=["api", "api", "services", "services", "services"],
            site=web.site,
            emails=emails,
            password=PASSWORD,
        )

    assert mistakes == []
    # Nobody waited in vain and nothing deadlocked.
    assert history.statuses() == {"201", "done", "insufficient-credits"}
    assert history.counts()["reads"] > 0


def test_random_transfers_between_fifty_wallets_keep_every_promise(committed, tmp_path):
    history, mistakes = run(
        tmp_path,
        database_url(committed),
        users=make_players(50),
        doors=["services"] * 4,
    )

    assert mistakes == []
    assert history.statuses() <= {"done", "insufficient-credits"}
    assert history.counts()["reads"] > 0


@pytest.fixture
def bare_url(committed: str) -> str:
    """The address of bare copies of the ledger's tables: no constraint, no guard."""
    url = database_url(committed)
    make_players(8)
    with psycopg.connect(url) as connection:
        for statement in _BARE:
            connection.execute(statement)
    return f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3Dbare"


def test_clients_that_take_no_lock_are_found_out(bare_url, tmp_path):
    """The control: the same clients and the same judge, without lock and guards."""
    players = [name for name in read_books(bare_url).wallets if name.isdigit()]

    history, mistakes = run(
        tmp_path, bare_url, users=players, doors=["careless"] * 4, operations=60
    )

    assert history.counts()["done"] > 0
    # An update was lost: a balance that no history explains, and a total that moved.
    assert {"balance", "total", "snapshot"} <= {mistake.kind for mistake in mistakes}
