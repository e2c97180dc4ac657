"""The one step of every state machine; which steps there are is the model's to say."""

from __future__ import annotations

from typing import Any

from credits_project.exceptions import InvalidTransition


def move_to(self: Any, status: str) -> None:
    """Set a row's status in memory; the caller holds the row's lock and saves it.

    Models that have `TRANSITIONS` take it as their method.

    Raises:
        InvalidTransition: `TRANSITIONS` has no such step.
    """
    if status not in self.TRANSITIONS[self.status]:
        raise InvalidTransition(current=self.status, wanted=status)
    self.status = status
