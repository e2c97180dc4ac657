"""Hostile SQL: what a bug, a stolen password or an insider could try on the ledger.

Each line says what it tries, the SQL, and what comes of it for the owner of the tables,
then for the app's role where that is not simply denied, then for a superuser where that
is not what comes of it for the owner. `test_hostile_sql` runs each as all three.
"""

from __future__ import annotations

from typing import Final

from tests.proof.attacks import Attack
from tests.proof.hostile_sql import credits, guards, history, rules, sessions

ATTACKS: Final[list[Attack]] = [
    *credits.ATTACKS,
    *history.ATTACKS,
    *rules.ATTACKS,
    *sessions.ATTACKS,
    *guards.ATTACKS,
]
