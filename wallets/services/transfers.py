"""Transfers that people and programs ask for: between users, grants, reversals."""

from __future__ import annotations

import hashlib
import uuid
from decimal import Decimal
from typing import Any, Final, Literal

from django.contrib.auth import get_user_model
from django.db import transaction

from credits_project import audit, idempotency
from credits_project.exceptions import InvalidInput, UnknownReference
from credits_project.ids import new_id
from credits_project.money import checked_amount, positive_amount
from wallets.exceptions import OwnWallet, TransferKeyReused
from wallets.models import CreditTransaction, CreditTransfer
from wallets.services.opening import wallet_id_of
from wallets.services.posting import Leg, post
from wallets.system import Family, system_wallet_id

# What happens with the world outside, or earns a coach credits that may be withdrawn,
# has a process of its own and cannot be claimed by a transfer.
TRANSFER_TYPES: Final = (
    CreditTransaction.Type.TRANSFER,
    CreditTransaction.Type.COURSE_PAYMENT,
    CreditTransaction.Type.COURSE_REFUND,
    CreditTransaction.Type.BONUS,
    CreditTransaction.Type.ADJUSTMENT,
)
_GRANTED_FROM: Final[dict[str, Family]] = {
    "bonus": "promotions",
    "adjustment": "adjustments",
}
# Keys of the processes, which undo their own, and of reversals.
_PROCESSES_KEYS: Final = ("purchase:", "enrollment:", "withdrawal:")
# The endpoints whose clients name their requests by a key.
ClientScope = Literal["transfers", "rpc"]
_OTHERS_KEYS: Final = (*_PROCESSES_KEYS, "reversal:")


@transaction.atomic
def transfer_credits(
    *,
    from_user_id: int,
    to_user_id: int,
    amount: Decimal,
    transaction_type: str = "transfer",
    description: str = "",
    metadata: dict[str, Any] | None = None,
    actor: Any = None,
    key: str | None = None,
) -> CreditTransfer:
    """Move `amount` credits from one user to another, with a row on each side.

    With a `key` of the caller's the transfer happens once, however often it is asked
    for; without one every call is a transfer of its own.

    Raises:
        InsufficientCredits, WalletFrozen, TransferKeyReused: see `post`.
        InvalidInput: a bad amount or type.
        OwnWallet: one user on both sides.
        UnknownReference: an unknown user.
    """
    amount = positive_amount(amount)
    check_text(description, field="description", longest=500)
    if transaction_type not in TRANSFER_TYPES:
        raise InvalidInput(
            "transaction_type",
            f"A transfer may be one of: {', '.join(TRANSFER_TYPES)}.",
            reason="invalid_choice",
        )
    if key is not None:
        _check_key(key)
    if from_user_id == to_user_id:
        raise OwnWallet("to_user_id")
    source = _wallet_of_user(from_user_id, field="from_user_id")
    target = _wallet_of_user(to_user_id, field="to_user_id")
    transfer = post(
        Leg(wallet_id=source, amount=-amount, transaction_type=transaction_type),
        Leg(wallet_id=target, amount=amount, transaction_type=transaction_type),
        key=key or f"transfer:{new_id()}",
        description=description,
        actor=actor,
        metadata=metadata,
    )
    if transfer.is_replay and (
        transfer.description != description or transfer.metadata != (metadata or {})
    ):
        raise TransferKeyReused(transfer.key)
    return transfer


@transaction.atomic
def send_credits(
    *,
    sender: Any,
    to: str,
    amount: Decimal,
    note: str = "",
    idempotency_key: str | None = None,
) -> CreditTransfer:
    """Send `amount` credits to the active user who has the e-mail address `to`.

    Raises:
        RequestInProgress: the same request is running now.
        Otherwise as `transfer_credits`, with `to` as the field of an unknown user.
    """
    users = get_user_model()._default_manager.filter(is_active=True)
    target = users.filter(email__iexact=to).order_by("pk").first()
    if target is None:
        raise UnknownReference("to", "No user has this address.")
    if target.pk == sender.pk:
        raise OwnWallet("to")
    return transfer_credits(
        from_user_id=sender.pk,
        to_user_id=target.pk,
        amount=amount,
        description=note,
        actor=sender,
        key=_client_key("transfers", sender.pk, idempotency_key),
    )


@transaction.atomic
def transfer_for_client(
    *, actor: Any, idempotency_key: str | None = None, **arguments: Any
) -> CreditTransfer:
    """Do `transfer_credits` once under the client's key. Return the transfer.

    Raises:
        RequestInProgress: the same request is running now.
        Otherwise as `transfer_credits`.
    """
    key = _client_key("rpc", actor.pk, idempotency_key)
    return transfer_credits(actor=actor, key=key, **arguments)


def find_for_client(
    *, scope: ClientScope, user_id: int, idempotency_key: str
) -> CreditTransfer | None:
    """Return what `send_credits` or `transfer_for_client` booked under a client's key.

    For a request whose connection was lost; the transactions are in `legs`.
    """
    key = _key_of_client(scope, user_id, idempotency_key)
    transfer = CreditTransfer.objects.filter(key=key).first()
    if transfer is not None:
        transfer.legs = list(transfer.transactions.order_by("pk"))
    return transfer


@transaction.atomic
def grant_credits(
    *,
    user_id: int,
    amount: Decimal,
    reason: str,
    actor: Any = None,
    transaction_type: str = "bonus",
    key: str | None = None,
) -> CreditTransfer:
    """Give a user credits (`bonus`), or correct a balance up or down (`adjustment`).

    A bonus comes out of `promotions`, an adjustment out of `adjustments`. `amount` is
    in credits; only an adjustment may be below zero, and takes what is available.

    Raises:
        InsufficientCredits, WalletFrozen, TransferKeyReused: see `post`.
        InvalidInput: a bad amount or type, or no reason.
        UnknownReference: an unknown user.
    """
    amount = check_grant(transaction_type, amount, reason)
    if key is not None:
        _check_key(key)
    cause = new_id()
    family = _GRANTED_FROM[transaction_type]
    wallet_id = _wallet_of_user(user_id, field="user_id")
    # A repeat must name the part that the first one used, so it follows from the user.
    part = uuid.UUID(int=user_id)
    transfer = post(
        Leg(wallet_id=wallet_id, amount=amount, transaction_type=transaction_type),
        Leg(
            wallet_id=system_wallet_id(family, cause=part),
            amount=-amount,
            transaction_type=transaction_type,
        ),
        key=key or f"grant:{cause}",
        description=reason,
        actor=actor,
    )
    if not transfer.is_replay:
        audit.record(actor=actor, row=transfer, action="grant", reason=reason)
    return transfer


@transaction.atomic
def reverse_transfer(
    *, transfer_id: uuid.UUID, actor: Any, reason: str
) -> CreditTransfer:
    """Undo a transfer by a new one that names it, once. Return the new one.

    What a purchase, an enrollment or a withdrawal booked is undone by its own refund or
    reversal, which knows what else has to change, and not here.

    Raises:
        InsufficientCredits: a wallet no longer has what it received.
        WalletFrozen: a wallet that would give back is frozen.
        InvalidInput: no reason is given, or the transfer is another process's.
        CreditTransfer.DoesNotExist: there is no such transfer.
    """
    if not reason.strip():
        raise InvalidInput("reason", "Say why it is reversed.", reason="required")
    check_text(reason, field="reason", longest=500)
    original = CreditTransfer.objects.get(pk=transfer_id)
    if original.key.startswith(_PROCESSES_KEYS):
        raise InvalidInput(
            "transfer_id", "This transfer is undone by a refund of what caused it."
        )
    legs = [
        Leg(
            wallet_id=leg.wallet_id,
            amount=-leg.amount,
            transaction_type=leg.transaction_type,
        )
        for leg in original.transactions.order_by("wallet_id")
    ]
    transfer = post(
        *legs,
        key=f"reversal:{original.pk}",
        description=reason,
        actor=actor,
        reverses=original,
    )
    if not transfer.is_replay:
        audit.record(actor=actor, row=original, action="reverse", reason=reason)
    return transfer


def check_grant(transaction_type: str, amount: Decimal, reason: str) -> Decimal:
    """Return the amount with two decimals, if such a grant may be.

    Raises:
        InvalidInput: a bad amount or type, or no reason.
    """
    if transaction_type not in _GRANTED_FROM:
        raise InvalidInput(
            "transaction_type",
            "A grant is a bonus or an adjustment.",
            reason="invalid_choice",
        )
    if transaction_type == "bonus":
        amount = positive_amount(amount)
    else:
        amount = checked_amount(amount)
        if not amount:
            raise InvalidInput("amount", "The amount must not be zero.")
    if not reason.strip():
        raise InvalidInput("reason", "Say what the credits are for.", reason="required")
    check_text(reason, field="reason", longest=500)
    return amount


def check_text(text: str, *, field: str, longest: int) -> None:
    """Refuse a text that is too long, or that PostgreSQL could not keep.

    Raises:
        InvalidInput: more than `longest` characters, or NUL among them.
    """
    if len(text) > longest:
        raise InvalidInput(
            field, f"No more than {longest} characters.", reason="max_length"
        )
    if "\x00" in text:
        raise InvalidInput(field, "The text may not contain NUL characters.")


def _wallet_of_user(user_id: int, *, field: str) -> uuid.UUID:
    users = get_user_model()._default_manager
    if not users.filter(pk=user_id).exists():
        raise UnknownReference(field, "There is no such user.")
    return wallet_id_of(user_id=user_id)


def _client_key(scope: ClientScope, user_id: int, key: str | None) -> str | None:
    """Return the transfer key of a client's key, claimed for this transaction."""
    if key is None:
        return None
    idempotency.claim(user_id=user_id, scope=scope, key=key)
    return _key_of_client(scope, user_id, key)


def _key_of_client(scope: ClientScope, user_id: int, key: str) -> str:
    """Return the transfer key of a client's key, which is the user's and endpoint's."""
    # A digest: the client's key alone may be as long as a transfer key.
    digest = hashlib.sha256(key.encode()).hexdigest()
    return f"{scope}:{user_id}:{digest}"


def _check_key(key: str) -> None:
    if not (0 < len(key) <= 255 and key.isascii() and key.isprintable()):
        raise InvalidInput("key", "A key is 1 to 255 visible ASCII characters.")
    if key.startswith(_OTHERS_KEYS):
        raise InvalidInput(
            "key", f"A key may not begin with {', '.join(_OTHERS_KEYS)}."
        )
