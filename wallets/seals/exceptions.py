"""Why the ledger was not sealed. Operators read these; no client of the API does."""

from __future__ import annotations


class SealError(Exception):
    """The ledger was not sealed; the message is for the operator."""


class SealKeyUnusable(SealError):
    """There is no key, or one that could be guessed."""


class SealingInProgress(SealError):
    """Another process is sealing at this moment."""


class SealChainBroken(SealError):
    """The last seal is not one to build on: somebody has to look first."""
