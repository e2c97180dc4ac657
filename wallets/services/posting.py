"""The one function that writes money.

Lock, look, decide, write: all wallets in one statement, the decision in Python on what
was locked, and one statement that looks at the keys under the locks and writes all of
it or nothing.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any, Final, Self

from django.db import IntegrityError, connection, transaction

from credits_project.ids import new_id
from credits_project.money import MAX_CREDITS, checked_amount
from wallets import statements
from wallets.exceptions import (
    BalanceOutOfRange,
    InsufficientCredits,
    TransferKeyReused,
    WalletFrozen,
)
from wallets.models import (
    MAY_BE_NEGATIVE,
    CreditTransaction,
    CreditTransfer,
    CreditWallet,
)
from wallets.statements import LockedRow, NewTransfer

logger = logging.getLogger(__name__)

TransactionType = CreditTransaction.Type
_UNIQUE_KEY: Final = "wallets_credittransfer_unique_key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One wallet's side of a transfer.

    `amount` is in credits and signed: above zero comes in, below zero goes out.
    """

    wallet_id: uuid.UUID
    amount: Decimal
    transaction_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """A transfer to be booked; see `post` for what its parts mean."""

    legs: tuple[Leg, ...]
    key: str
    description: str = ""
    actor_id: int | None = None
    reverses_id: uuid.UUID | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _LockedWallet:
    """A wallet as it was when locked, and what the postings make of it."""

    balance: Decimal
    held: Decimal
    sequence: int
    is_frozen: bool
    may_be_negative: bool
    is_changed: bool = False

    @classmethod
    def of(cls, row: LockedRow) -> Self:
        """Return the wallet of a row that was locked."""
        _, balance, held, sequence, frozen_at, code, _ = row
        may_be_negative = code is not None and code.partition(":")[0] in MAY_BE_NEGATIVE
        return cls(balance, held, sequence, frozen_at is not None, may_be_negative)


def post(
    *legs: Leg,
    key: str,
    description: str = "",
    actor: Any = None,
    reverses: CreditTransfer | None = None,
    metadata: dict[str, Any] | None = None,
) -> CreditTransfer:
    """Book a transfer: all of its legs or none. Return it with its transactions.

    Booking the same legs again under the same key changes nothing and returns the
    transfer of the first time with `is_replay` set, so callers may retry without
    looking. The transactions are in `transfer.legs`, in the order of `legs`.

    It joins the transaction that is open, or opens one. One `post` per transaction:
    two would lock in an order that nobody sees. Nothing has been written when it
    refuses.

    Args:
        legs: two or more, at most one per wallet; their amounts add up to zero.
        key: names the transfer for ever, by the row that causes it: "purchase:<id>".
        actor: the user who did it, where somebody did.
        metadata: JSON for people and reports; no rule depends on it.

    Raises:
        InsufficientCredits: a wallet would pay more than is available.
        WalletFrozen: a frozen wallet would pay.
        BalanceOutOfRange: a balance would pass the bound.
        TransferKeyReused: the key already names other legs.
        CreditWallet.DoesNotExist: a wallet is missing.
    """
    posting = Posting(
        legs=legs,
        key=key,
        description=description,
        actor_id=None if actor is None else actor.pk,
        reverses_id=None if reverses is None else reverses.pk,
        metadata=metadata or {},
    )
    return post_many([posting])[0]


def post_many(postings: Sequence[Posting]) -> list[CreditTransfer]:
    """Book transfers in their order: all of them or none. See `post`.

    A later one may spend what an earlier one brings in. Costs a fixed number of
    statements, whether it is one transfer or ten thousand.
    """
    for posting in postings:
        _assert_well_formed(posting)
    with _transaction():
        locked = _lock({leg.wallet_id for p in postings for leg in p.legs})
        try:
            booked = _book(postings, locked, booked={})
        except (InsufficientCredits, WalletFrozen, BalanceOutOfRange, _KeyBooked):
            # What was booked before is given back, whatever would be said of it now.
            if not (known := _look_up(postings)):
                raise
            booked = _book(postings, locked, booked=known)
    return [booked[posting.key] for posting in postings]


class _KeyBooked(Exception):
    """Nothing was written, as one of the keys is booked."""


def _transaction() -> AbstractContextManager[Any]:
    # Joined without a savepoint, which would cost two round trips: a refusal comes
    # before the first write, so there is nothing to roll back to.
    return nullcontext() if connection.in_atomic_block else transaction.atomic()


def _assert_well_formed(posting: Posting) -> None:
    legs = posting.legs
    assert len(legs) >= 2, "a transfer has two or more legs"
    assert len({leg.wallet_id for leg in legs}) == len(legs), "a wallet appears once"
    assert all(leg.amount for leg in legs), "a leg of zero does not exist"
    assert not sum(leg.amount for leg in legs), "the legs add up to zero"
    assert 0 < len(posting.key) <= 255, "a transfer has a key"
    for leg in legs:
        checked_amount(leg.amount)


def _lock(wallet_ids: set[uuid.UUID]) -> list[LockedRow]:
    """Lock wallets until the transaction ends."""
    rows = statements.lock_wallets(wallet_ids)
    if missing := wallet_ids - {row[0] for row in rows}:
        raise CreditWallet.DoesNotExist(f"no wallet {missing}")
    return rows


def _look_up(postings: Sequence[Posting]) -> dict[str, CreditTransfer]:
    """Return the transfers that are booked under the keys, by key."""
    # Under the locks: a repeat that runs at the same time has either committed its
    # transfer by now or is still waiting for these wallets.
    found = statements.look_up({posting.key for posting in postings})
    for transfer in found:
        transfer.is_replay = True
    return {transfer.key: transfer for transfer in found}


def _book(
    postings: Sequence[Posting],
    locked: list[LockedRow],
    *,
    booked: dict[str, CreditTransfer],
) -> dict[str, CreditTransfer]:
    """Book what is not booked; return the transfers of all postings, by key."""
    wallets = {row[0]: _LockedWallet.of(row) for row in locked}
    new: dict[str, NewTransfer] = {}
    for posting in postings:
        if posting.key in booked:
            _replay(booked[posting.key], posting)
        elif posting.key in new:
            _require_same_legs(new[posting.key].legs, posting)
        else:
            new[posting.key] = _decide(posting, wallets)
    if not new:
        return booked
    not_before = [row[6] for row in locked]
    written = _write(list(new.values()), wallets, not_before=not_before)
    return booked | {transfer.key: transfer for transfer in written}


def _replay(transfer: CreditTransfer, posting: Posting) -> None:
    """Have what the key named the first time in the order of the legs now."""
    legs = {leg.wallet_id: leg for leg in transfer.transactions.all()}
    _require_same_legs(
        [
            (leg.wallet_id, leg.sequence, leg.transaction_type, leg.amount)
            for leg in legs.values()
        ],
        posting,
    )
    transfer.legs = [legs[leg.wallet_id] for leg in posting.legs]


def _require_same_legs(legs: Sequence[tuple[Any, ...]], posting: Posting) -> None:
    known = {leg[0]: (leg[2], leg[3]) for leg in legs}
    if known != {
        leg.wallet_id: (leg.transaction_type, leg.amount) for leg in posting.legs
    }:
        raise TransferKeyReused(posting.key)


def _decide(posting: Posting, wallets: dict[uuid.UUID, _LockedWallet]) -> NewTransfer:
    """Move the credits in memory, or refuse."""
    transfer = NewTransfer(
        id=new_id(),
        key=posting.key,
        description=posting.description,
        actor_id=posting.actor_id,
        reverses_id=posting.reverses_id,
        metadata=posting.metadata,
        legs=[],
    )
    for leg in posting.legs:
        wallet = wallets[leg.wallet_id]
        before, after = wallet.balance, wallet.balance + leg.amount
        if leg.amount < 0 and wallet.is_frozen:
            raise WalletFrozen
        if leg.amount < 0 and after < wallet.held and not wallet.may_be_negative:
            raise InsufficientCredits(
                available=before - wallet.held, required=-leg.amount
            )
        if abs(after) >= MAX_CREDITS:
            raise BalanceOutOfRange
        wallet.balance = after
        wallet.sequence += 1
        wallet.is_changed = True
        kind = leg.transaction_type
        transfer.legs.append(
            (leg.wallet_id, wallet.sequence, kind, leg.amount, before, after)
        )
    return transfer


def _write(
    transfers: list[NewTransfer],
    wallets: dict[uuid.UUID, _LockedWallet],
    *,
    not_before: list[str],
) -> list[CreditTransfer]:
    """Write wallets, transfers and transactions in one statement.

    Raises:
        _KeyBooked: one of the keys is booked, and nothing was written.
        TransferKeyReused: one is being booked with other wallets.
    """
    balances = [
        (wallet_id, wallet.balance, wallet.sequence)
        for wallet_id, wallet in wallets.items()
        if wallet.is_changed
    ]
    try:
        written = statements.write(
            not_before=not_before, balances=balances, transfers=transfers
        )
    except IntegrityError as error:
        # Only other wallets' locks can have let a second user of the key get this far.
        if statements.constraint_of(error) == _UNIQUE_KEY:
            raise TransferKeyReused(transfers[0].key) from error
        raise
    if not written:
        raise _KeyBooked
    transaction.on_commit(partial(_log, [transfer.key for transfer in transfers]))
    return written


def _log(keys: list[str]) -> None:
    if len(keys) == 1:
        logger.info("posted %s", keys[0])
    else:
        logger.info("posted %d transfers, from %s to %s", len(keys), keys[0], keys[-1])
