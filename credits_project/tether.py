"""Ties the life of a child process to its parent's."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
# Loaded before any fork: between fork and exec nothing may be imported or opened.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def signal_at_parents_death(number: signal.Signals) -> Callable[[], None] | None:
    """Return a `preexec_fn` that has the kernel send `number` once the parent is gone.

    Whatever ends the parent, kill -9 too, no child is left running. Only Linux can do
    it; elsewhere there is nothing to call. The parent is the *thread* that starts the
    child, so only a main thread may use it.
    """
    libc = _LIBC
    if libc is None:
        return None

    def tie() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(number))

    return tie


def tie_to_parent(number: signal.Signals) -> None:
    """Have the kernel send `number` to this very process once its parent is gone."""
    parent = os.getppid()
    if (tie := signal_at_parents_death(number)) is not None:
        tie()
    if os.getppid() != parent:
        # It went while the kernel was being told.
        signal.raise_signal(number)
