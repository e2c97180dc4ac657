"""What other programs would do: lock, change and insert hand's rows, from Python.

They work on hand's bare tables, without guards, keys or numbers: `naive` as a Django
application is usually written; `tuned` with what the ORM offers for speed; `sql` with
hand-written statements on Django's connection, `prepared` with the server knowing them;
`psycopg` without Django; `short` and `libpq` in two round trips, which is as few as
there can be where Python decides between the lock and the write. The last leaves out
the driver's Python too: no Python on this machine is faster.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any, ClassVar

import psycopg
from django.db import connections, models, transaction
from django.db.models import F

from tests.benchmarks import hand
from tests.benchmarks.workers import Contestant

PRICE = Decimal("0.01")
_GENERIC = "-c plan_cache_mode=force_generic_plan"
_PREPARED = {
    "server_side_binding": True,
    "prepare_threshold": 0,
    "options": _GENERIC,
}

Pair = tuple[int, int]


class Wallet(models.Model):
    """A row of hand's table of wallets."""

    id = models.IntegerField(primary_key=True)
    balance = models.DecimalField(max_digits=14, decimal_places=2)

    objects: ClassVar[models.Manager[Wallet]] = models.Manager()

    class Meta:
        app_label = "bare"
        db_table = "wallets"
        managed = False

    def __str__(self) -> str:
        return f"wallet {self.pk}"


class Row(models.Model):
    """A row of hand's table of rows."""

    id = models.BigAutoField(primary_key=True)
    wallet = models.ForeignKey(Wallet, on_delete=models.DO_NOTHING)
    amount = models.DecimalField(max_digits=14, decimal_places=2)
    balance = models.DecimalField(max_digits=14, decimal_places=2)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[models.Manager[Row]] = models.Manager()

    class Meta:
        app_label = "bare"
        db_table = "rows"
        managed = False

    def __str__(self) -> str:
        return f"row {self.pk}"


def contestant(kind: str, number: int, of: int) -> Contestant:
    """Return a contestant by its kind; `…_hot` has wallet 1 in every transfer."""
    random = Random(os.getpid())  # noqa: S311 - chooses wallets
    kind, _, hot = kind.partition("_")

    def pair() -> Pair:
        if hot:
            return random.randint(2, hand.WALLETS), 1
        source, target = random.sample(range(1, hand.WALLETS + 1), 2)
        return source, target

    if kind in _PLAIN:
        driver = psycopg.connect(
            os.environ["DATABASE_URL"], prepare_threshold=0, options=_GENERIC
        )
        move = _PLAIN[kind](driver)
    else:
        default = connections["default"]
        if kind == "prepared":
            default.settings_dict["OPTIONS"] |= _PREPARED
        default.ensure_connection()
        driver, move = default.connection, _DJANGO[kind]

    def step() -> int:
        move(pair())
        return 1

    return Contestant(move=step, driver=driver)


def naive(pair: Pair) -> None:
    """Move the price as most applications would."""
    with transaction.atomic():
        found = Wallet.objects.select_for_update().filter(pk__in=pair).order_by("pk")
        wallets = {wallet.pk: wallet for wallet in found}
        source, target = wallets[pair[0]], wallets[pair[1]]
        _require(source.balance)
        source.balance -= PRICE
        target.balance += PRICE
        source.save()
        target.save()
        Row.objects.create(wallet=source, amount=-PRICE, balance=source.balance)
        Row.objects.create(wallet=target, amount=PRICE, balance=target.balance)


def tuned(pair: Pair) -> None:
    """Move the price with what the ORM has that is quick."""
    source, target = pair
    wallets = Wallet.objects.order_by()
    with transaction.atomic():
        locked = wallets.select_for_update(no_key=True).order_by("pk")
        balances = dict(locked.filter(pk__in=pair).values_list("pk", "balance"))
        _require(balances[source])
        wallets.filter(pk=source).update(balance=F("balance") - PRICE)
        wallets.filter(pk=target).update(balance=F("balance") + PRICE)
        Row.objects.bulk_create(
            [
                Row(wallet_id=source, amount=-PRICE, balance=balances[source] - PRICE),
                Row(wallet_id=target, amount=PRICE, balance=balances[target] + PRICE),
            ]
        )


_LOCK = """
SELECT id, balance FROM wallets WHERE id IN (%s, %s) ORDER BY id FOR NO KEY UPDATE
"""
_WRITE = """
WITH moved AS (
    UPDATE wallets SET balance = became.balance
    FROM (VALUES (%s::int, %s::numeric), (%s, %s)) AS became (id, balance)
    WHERE wallets.id = became.id
)
INSERT INTO rows (wallet_id, amount, balance)
VALUES (%s, %s::numeric, %s::numeric), (%s, %s, %s)
"""


def by_hand(pair: Pair) -> None:
    """Move the price with two statements of one's own on Django's connection."""
    with transaction.atomic(), connections["default"].cursor() as cursor:
        cursor.execute(_LOCK, pair)
        cursor.execute(_WRITE, _decided(pair, dict(cursor.fetchall())))


def _require(balance: Decimal) -> None:
    if balance < PRICE:
        raise ValueError("not enough")


def _decided(pair: Pair, balances: dict[int, Decimal]) -> tuple[Any, ...]:
    """Return the parameters of the write, or refuse."""
    source, target = pair
    _require(balances[source])
    paid, got = balances[source] - PRICE, balances[target] + PRICE
    rows = (source, -PRICE, paid, target, PRICE, got)
    return (source, paid, target, got, *rows)


def _psycopg(driver: psycopg.Connection[Any]) -> Callable[[Pair], None]:
    cursor = driver.cursor()

    def move(pair: Pair) -> None:
        with driver.transaction():
            cursor.execute(_LOCK, pair)
            cursor.execute(_WRITE, _decided(pair, dict(cursor.fetchall())))

    return move


# As text without parameters, several statements make one round trip; PREPARE spares
# the server their planning.
_PREPARE = (
    "PREPARE look (int, int) AS " + _LOCK % ("$1", "$2"),
    "PREPARE move (int, numeric, int, numeric, int, numeric, numeric, int, numeric,"
    " numeric) AS " + _WRITE % tuple(f"${number}" for number in range(1, 11)),
)


def _texts(pair: Pair, balances: dict[int, Decimal]) -> str:
    # Whole numbers and decimals, all of them our own: nothing to quote.
    values = ",".join(map(str, _decided(pair, balances)))
    return f"EXECUTE move ({values}); COMMIT"


def _short(driver: psycopg.Connection[Any]) -> Callable[[Pair], None]:
    driver.autocommit = True
    # What the driver prepares by itself is one statement alone.
    driver.prepare_threshold = None
    cursor = driver.cursor()
    for statement in _PREPARE:
        cursor.execute(statement.encode())

    def move(pair: Pair) -> None:
        cursor.execute(f"BEGIN; EXECUTE look ({pair[0]}, {pair[1]})".encode())
        cursor.nextset()
        cursor.execute(_texts(pair, dict(cursor.fetchall())).encode())

    return move


def _libpq(driver: psycopg.Connection[Any]) -> Callable[[Pair], None]:
    driver.autocommit = True
    server = driver.pgconn

    def run(text: str, expected: int) -> Any:
        result = server.exec_(text.encode())
        assert result.status == expected, result.error_message
        return result

    for statement in _PREPARE:
        run(statement, psycopg.pq.ExecStatus.COMMAND_OK)

    def move(pair: Pair) -> None:
        begun = f"BEGIN; EXECUTE look ({pair[0]}, {pair[1]})"
        found = run(begun, psycopg.pq.ExecStatus.TUPLES_OK)
        balances = {
            int(found.get_value(row, 0)): Decimal(found.get_value(row, 1).decode())
            for row in range(found.ntuples)
        }
        run(_texts(pair, balances), psycopg.pq.ExecStatus.COMMAND_OK)

    return move


_DJANGO = {"naive": naive, "tuned": tuned, "sql": by_hand, "prepared": by_hand}
_PLAIN = {"psycopg": _psycopg, "short": _short, "libpq": _libpq}
