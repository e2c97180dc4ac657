"""People and wallets for tests, made the way real ones are: through the services."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import Group, User

from wallets import services
from wallets.models import CreditWallet

PASSWORD = "correct horse battery staple"
_numbers = itertools.count(1)


def make_user(name: str = "user", *, balance: str = "0.00", **fields: Any) -> User:
    """A user with a wallet that got its balance through the ledger."""
    number = next(_numbers)
    user = User.objects.create_user(
        username=f"{name}-{number}",
        email=f"{name}-{number}@example.com",
        password=fields.pop("password", None),
        first_name=name.capitalize(),
        **fields,
    )
    if Decimal(balance):
        services.grant_credits(
            user_id=user.pk, amount=Decimal(balance), reason="for a test"
        )
    return user


def make_coach(name: str = "coach", *, balance: str = "0.00", **fields: Any) -> User:
    """A user of the group `coaches`."""
    coach = make_user(name, balance=balance, **fields)
    coach.groups.add(Group.objects.get(name="coaches"))
    return coach


def make_staff(group: str, **fields: Any) -> User:
    """A member of staff: of `support`, `finance` or `auditors`."""
    staff = make_user(group, is_staff=True, **fields)
    staff.groups.add(Group.objects.get(name=group))
    return staff


def wallet_of(user: User) -> CreditWallet:
    """The user's wallet as it is in the database now."""
    return CreditWallet.objects.get(user_id=user.pk)


def balance_of(user: User) -> Decimal:
    """The user's balance as it is in the database now, in credits."""
    return wallet_of(user).balance
