"""Payout methods: added, told of, removed; never changed."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from credits_project.exceptions import InvalidInput, NotFound
from payments.gateway import Destination
from wallets.statements import constraint_of
from withdrawals import destinations, encryption, notices, numbers
from withdrawals.exceptions import PayoutMethodExists
from withdrawals.models import MethodKind, PayoutMethod

_ONCE_PER_USER = "withdrawals_payoutmethod_once_per_user"
_CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f]")


@sensitive_variables("account_number", "number")
def add_payout_method(
    *, user: Any, kind: str, destination: str, account_name: str, account_number: str
) -> PayoutMethod:
    """Add where the user's earnings can be sent, usable after the cooling-off.

    Not to be called inside a transaction: it may ask the gateway. The owner is told by
    mail, so that somebody who took over the account cannot add one unseen.

    Args:
        kind: `mobile_money` or `bank`.
        destination: the operator's or bank's id at the gateway.
        account_number: see `numbers.normalized`.

    Raises:
        InvalidInput: it is no name or number of an account.
        UnknownReference: money cannot be sent there.
        PayoutMethodExists: the user already has it.
        GatewayUnavailable: the gateway's destinations cannot be learned.
    """
    if kind not in MethodKind.values:
        raise InvalidInput("kind", "Not a known kind.", reason="invalid_choice")
    name = _checked_name(account_name)
    found = destinations.destination(kind=kind, destination_id=destination)
    number = numbers.normalized(account_number, destination=found)
    return _keep(user=user, destination=found, account_name=name, number=number)


@transaction.atomic
def remove_payout_method(*, user: Any, payout_method_id: uuid.UUID) -> None:
    """Remove a payout method of the user's. Withdrawals that name it go on.

    Raises:
        NotFound: the user has none with this id.
    """
    removed = (
        PayoutMethod.objects.current()
        .filter(user=user, pk=payout_method_id)
        .update(removed_at=timezone.now())
    )
    if not removed:
        raise NotFound("You have no such payout method.")


@sensitive_variables("number")
@transaction.atomic
def _keep(
    *, user: Any, destination: Destination, account_name: str, number: str
) -> PayoutMethod:
    method = PayoutMethod(
        user=user,
        kind=destination.kind.value,
        destination_id=destination.id,
        destination_name=destination.name[:200],
        account_name=account_name,
        account_number_last=number[-3:],
        fingerprint=encryption.fingerprint(
            destination.kind.value, destination.id, number
        ),
        usable_from=timezone.now() + timedelta(hours=settings.PAYOUT_COOLING_OFF_HOURS),
    )
    method.account_number_encrypted = encryption.seal(
        number, context=method.number_context
    )
    try:
        with transaction.atomic():
            method.save(force_insert=True)
    except IntegrityError as error:
        if constraint_of(error) == _ONCE_PER_USER:
            raise PayoutMethodExists from error
        raise
    transaction.on_commit(partial(notices.tell_of_method, method.pk), robust=True)
    return method


def _checked_name(name: str) -> str:
    squeezed = " ".join(name.split())
    if not 2 <= len(squeezed) <= 200 or _CONTROL.search(name):
        raise InvalidInput(
            "account_name", "The name of the account's holder has 2 to 200 characters."
        )
    # What could hide or turn around what stands beside it, where staff read it.
    return "".join(
        c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in squeezed
    )
