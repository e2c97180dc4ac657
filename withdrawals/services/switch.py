"""The one switch that stops all payouts."""

from __future__ import annotations

from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from credits_project import audit
from credits_project.exceptions import PermissionDenied
from withdrawals.models import PayoutSwitch
from withdrawals.services.decisions import required_reason

_PERMISSION: Final = "withdrawals.freeze_payouts"


@transaction.atomic
def freeze_payouts(*, actor: Any, reason: str) -> PayoutSwitch:
    """Send no payout any more. What is on its way is still looked up.

    Raises:
        InvalidInput: no reason is given.
        PermissionDenied: the actor may not freeze payouts.
    """
    reason = required_reason(reason)
    switch = _locked_for(actor)
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
    """
    reason = required_reason(reason)
    switch = _locked_for(actor)
    if switch.frozen_at is not None:
        switch.frozen_at = None
        _save(switch, actor=actor, reason=reason, action="unfreeze payouts")
    return switch


def locked_switch() -> PayoutSwitch:
    """Return the switch, locked until the transaction ends.

    Whoever begins to send holds it too: once it is frozen nothing more begins.
    """
    return PayoutSwitch.objects.select_for_update(of=("self",), no_key=True).get(pk=1)


def _locked_for(actor: Any) -> PayoutSwitch:
    if not (actor.is_active and actor.has_perm(_PERMISSION)):
        raise PermissionDenied("You may not freeze or unfreeze payouts.")
    return locked_switch()


def _save(switch: PayoutSwitch, *, actor: Any, reason: str, action: str) -> None:
    switch.changed_by = actor
    switch.reason = reason
    switch.save(update_fields=["frozen_at", "changed_by", "reason"])
    audit.record(actor=actor, row=switch, action=action, reason=reason)
