"""django-hordak with what a wallet needs and it leaves to its user: a lock, a check.

An account's balance is the sum of its legs, so the lock comes first and the sum after.
"""

from __future__ import annotations

import os
from random import Random

from django.core.management import call_command
from django.db import connections, transaction
from hordak.models import Account, AccountType
from moneyed import Money

from tests.benchmarks import hand
from tests.benchmarks.workers import Contestant

_PRICE = Money("0.01", "EUR")


def prepare() -> None:
    """Make its tables and as many accounts as hand has wallets, all of them full."""
    call_command("migrate", verbosity=0)
    # One by one takes long: each new account has the database look at all of them.
    Account.objects.bulk_create(
        Account(
            name=str(number),
            type=AccountType.asset if number else AccountType.equity,
            tree_id=number + 1,
            level=0,
            lft=1,
            rght=2,
        )
        for number in range(hand.WALLETS + 1)
    )
    opening, *accounts = Account.objects.order_by("tree_id")
    full = Money(hand.BALANCE, "EUR")
    with transaction.atomic():
        for account in accounts:
            opening.transfer_to(account, full)
    with connections["default"].cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def contestant(kind: str, number: int, of: int) -> Contestant:
    """Return the one contestant: transfers between two random accounts."""
    accounts = Account.objects.filter(type=AccountType.asset).order_by("pk")
    ids = list(accounts.values_list("pk", flat=True))
    random = Random(os.getpid())  # noqa: S311 - chooses accounts

    def move() -> int:
        transfer(*random.sample(ids, 2))
        return 1

    return Contestant(move=move, driver=connections["default"].connection)


def transfer(source: int, target: int) -> None:
    """Move the price from one account to another."""
    with transaction.atomic():
        accounts = Account.objects.select_for_update(of=("self",), no_key=True)
        found = accounts.filter(pk__in=(source, target)).order_by("pk")
        locked = {account.pk: account for account in found}
        if locked[source].get_simple_balance() < _PRICE:
            raise ValueError("not enough")
        locked[source].transfer_to(locked[target], _PRICE)
