"""What the ledger's commands have in common."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError
from django.db import transaction
from django.db.models import Q


def credits(text: str) -> Decimal:
    """Return the number that an operator typed; its range is the service's to judge."""
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise ArgumentTypeError(f"{text!r} is not a number of credits") from error


def add_key(parser: ArgumentParser) -> None:
    """Add the arguments of everything that writes credits."""
    parser.add_argument(
        "--key", help="names the transfer for ever; a repeat changes nothing"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be, and write nothing"
    )


def user_of(text: str) -> Any:
    """Return the user whom an operator named by id, e-mail address or username.

    Raises:
        CommandError: nobody is named so, or more than one.
    """
    names = Q(username=text) | Q(email__iexact=text)
    if text.isascii() and text.isdigit() and len(text) < 10:
        names |= Q(pk=int(text))
    users = list(get_user_model()._default_manager.filter(names)[:2])
    if len(users) != 1:
        found = "more than one user" if users else "no user"
        raise CommandError(f"{text!r} names {found}.")
    return users[0]


@contextmanager
def dry_run(*, on: bool) -> Iterator[None]:
    """Take back what is written in the block, where `on`."""
    with transaction.atomic():
        yield
        if on:
            transaction.set_rollback(True)
