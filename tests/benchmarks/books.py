"""Is everything that was measured in books without drift, break and error?"""

from __future__ import annotations

from tests.benchmarks import database, hand, ours
from tests.benchmarks.workers import Stable

HORDAK = "hordak"
BARE = "bare"


def breaks(our: Stable, peers: Stable) -> list[str]:
    """Return what is wrong in any database that was worked on.

    Each has exactly the transfers that its processes were told were booked.
    """
    found = hand.breaks()
    for name, booked in our.booked.items():
        made = ours.transfers(name) - ours.WALLETS
        found += _differ(name, made=made, booked=booked)
        # In the others guards are missing on purpose.
        found += ours.breaks(name, with_guards=name == ours.LEDGER)
    if BARE in peers.booked:
        found += hand.breaks(BARE, booked=peers.booked[BARE])
    if HORDAK in peers.booked:
        found += _hordaks_breaks(peers.booked[HORDAK])
    return found


def _hordaks_breaks(booked: int) -> list[str]:
    ((transfers, debits, credited),) = database.run(
        HORDAK,
        "SELECT (SELECT count(*) FROM hordak_transaction), sum(debit), sum(credit)"
        " FROM hordak_leg",
    )
    found = _differ(HORDAK, made=transfers - hand.WALLETS, booked=booked)
    return found if debits == credited else [*found, f"{HORDAK}: legs do not add up"]


def _differ(name: str, *, made: int, booked: int) -> list[str]:
    return [] if made == booked else [f"{name}: {made} transfers in place of {booked}"]
