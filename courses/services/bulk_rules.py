"""Who may work through lists, and which take two people."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import transaction
from django.db.models import Sum

from courses.models import BulkRow, BulkRun
from credits_project import audit
from credits_project.exceptions import NotFound, PermissionDenied
from credits_project.money import ZERO
from wallets.services import four_eyes

# Enrolling at somebody's cost moves that person's credits; a bonus makes new ones.
MAY: Final = {
    BulkRun.Kind.ENROLL: "wallets.transfer_credits",
    BulkRun.Kind.BONUS: "wallets.adjust_wallet",
}


def check_may(actor: Any, kind: BulkRun.Kind) -> None:
    """See that the actor may do to one person what a list does to many.

    Raises:
        PermissionDenied: they may not.
    """
    if actor is not None and not (actor.is_active and actor.has_perm(MAY[kind])):
        raise PermissionDenied("You may not work through such lists.")


def needs_second(run: BulkRun, rows: Sequence[BulkRow], actor: Any) -> bool:
    """Return whether it gives more than one person may give alone."""
    if actor is None or run.kind != BulkRun.Kind.BONUS:
        return False
    asked = [row.amount for row in rows if row.status == BulkRow.Status.PENDING]
    return four_eyes.needs_second(sum(asked, ZERO), actor=actor)


def given_alone(actor: Any, since: datetime) -> Decimal:
    """Return the credits of the lists that a person gave in alone since then."""
    # An enrollment gives none: its lines have an amount of 0.
    alone = BulkRow.objects.filter(
        run__created_by=actor,
        run__needs_second=False,
        run__created_at__gt=since,
    ).exclude(status=BulkRow.Status.REFUSED)
    total: Decimal = alone.aggregate(total=Sum("amount", default=ZERO))["total"]
    return total


@transaction.atomic
def agree_to_list(*, run_id: uuid.UUID, actor: Any) -> BulkRun:
    """Agree, as the second person, to a list that gives much. Return its run.

    Raises:
        PermissionDenied: the actor may not give such lists in, gave this one in, or is
            on it.
        NotFound: no such list waits for somebody.
    """
    runs = BulkRun.objects.select_for_update(of=("self",), no_key=True)
    run = runs.filter(pk=run_id, needs_second=True, agreed_by__isnull=True).first()
    if run is None:
        raise NotFound("No such list waits for a second person.")
    check_may(actor, BulkRun.Kind(run.kind))
    is_on_it = BulkRow.objects.filter(run=run, user=actor).exists()
    if actor.pk == run.created_by_id or is_on_it:
        raise PermissionDenied("It takes somebody who neither asked nor receives.")
    run.agreed_by = actor
    run.save(update_fields=["agreed_by"])
    audit.record(actor=actor, row=run, action="agree to list")
    return run
