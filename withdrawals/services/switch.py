"""The one switch that stops all payouts.

It is also turned by the program, where the database seems to have been restored from a
backup: what was sent since is not known here, and would be sent again.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from django.db import connection, transaction
from django.utils import timezone

from credits_project import audit
from credits_project.exceptions import PermissionDenied
from withdrawals.exceptions import NotReconciled
from withdrawals.models import PayoutSwitch
from withdrawals.services.decisions import required_reason

logger = logging.getLogger(__name__)

_PERMISSION: Final = "withdrawals.freeze_payouts"
_FIELDS: Final = [
    "frozen_at",
    "needs_reconciling",
    "database",
    "changed_by",
    "reason",
]


@transaction.atomic
def freeze_payouts(*, actor: Any, reason: str) -> PayoutSwitch:
    """Send no payout any more. What is on its way is still looked up.

    Raises:
        InvalidInput: no reason is given.
        PermissionDenied: the actor may not freeze payouts.
    """
    reason = required_reason(reason)
    switch = locked_for(actor)
    if switch.frozen_at is None:
        switch.frozen_at = timezone.now()
        _save(switch, actor=actor, reason=reason, action="freeze payouts")
    return switch


@transaction.atomic
def unfreeze_payouts(*, actor: Any, reason: str) -> PayoutSwitch:
    """Send payouts again; the sweep finds what has waited.

    Raises:
        InvalidInput: no reason is given.
        PermissionDenied: the actor may not unfreeze payouts.
        NotReconciled: the database seems to be an earlier one, and has not been
            compared with the gateway since.
    """
    reason = required_reason(reason)
    switch = locked_for(actor)
    if switch.frozen_at is None:
        return switch
    if switch.needs_reconciling:
        if switch.reconciled_at is None or switch.reconciled_at < switch.frozen_at:
            raise NotReconciled
        switch.needs_reconciling = False
        # From here on this is the database that payouts are sent from.
        switch.database = _identity()
    switch.frozen_at = None
    _save(switch, actor=actor, reason=reason, action="unfreeze payouts")
    return switch


def locked_switch() -> PayoutSwitch:
    """Return the switch, locked until the transaction ends.

    Whoever begins to send holds it too: once it is frozen nothing more begins.
    """
    return PayoutSwitch.objects.select_for_update(of=("self",), no_key=True).get(pk=1)


def may_send() -> bool:
    """Return whether payouts may be sent, with the switch locked.

    Freezes them where the database is not the one that they were sent from before.
    """
    switch = locked_switch()
    if switch.frozen_at is not None:
        return False
    identity = _identity()
    if switch.database == identity:
        return True
    if not switch.database:
        switch.database = identity
        switch.save(update_fields=["database"])
        return True
    freeze_until_reconciled(
        switch,
        reason="The database is another one than before: was it restored, or a replica"
        " promoted? Compare with the gateway, then unfreeze.",
    )
    return False


def freeze_until_reconciled(switch: PayoutSwitch, *, reason: str) -> None:
    """Freeze payouts, by the locked switch, until staff have compared them."""
    switch.frozen_at = timezone.now()
    switch.needs_reconciling = True
    switch.changed_by = None
    switch.reason = reason
    switch.save(update_fields=_FIELDS)
    logger.error("payouts are frozen: %s", reason)


def _identity() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT withdrawals_database_identity()")
        (identity,) = cursor.fetchone() or ("",)
    return str(identity)


def locked_for(actor: Any) -> PayoutSwitch:
    """Return the switch, locked, for somebody who may turn it.

    Raises:
        PermissionDenied: the actor may not.
    """
    if not (actor.is_active and actor.has_perm(_PERMISSION)):
        raise PermissionDenied("You may not freeze or unfreeze payouts.")
    return locked_switch()


def _save(switch: PayoutSwitch, *, actor: Any, reason: str, action: str) -> None:
    switch.changed_by = actor
    switch.reason = reason
    switch.save(update_fields=_FIELDS)
    audit.record(actor=actor, row=switch, action=action, reason=reason)
