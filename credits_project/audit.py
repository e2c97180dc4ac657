"""What staff did, in Django's own log of the admin, from the same transaction."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import models


def record(
    *, actor: Any, row: models.Model, action: str, reason: str = "", **facts: Any
) -> None:
    """Note that `actor` did `action` to `row`; call it inside the deed's transaction.

    `facts` are shown by their names. An action of the system itself (no actor) leaves
    no entry: the row's own columns and the ledger tell of it.
    """
    if actor is None:
        return
    message = f"{action}: {reason}" if reason else action
    if facts:
        told = ", ".join(f"{name} {value}" for name, value in facts.items())
        message = f"{message} ({told})"
    LogEntry.objects.create(
        user_id=actor.pk,
        content_type=ContentType.objects.get_for_model(row),
        object_id=str(row.pk),
        object_repr=str(row)[:200],
        action_flag=CHANGE,
        change_message=message,
    )
