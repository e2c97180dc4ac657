"""Every hostile statement, as app, owner and superuser, committed where it is accepted.

Afterwards the books are right, or the proof, the guards' check or the seals name what
was done.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.proof.arena import Arena
from tests.proof.attacks import Attack
from tests.proof.hostile_sql import ATTACKS


@pytest.fixture(scope="module")
def arena(
    django_db_setup: None,
    django_db_blocker: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Arena]:
    with django_db_blocker.unblock():
        arena = Arena(tmp_path_factory.mktemp("seals") / "ledger.seals")
        yield arena
        arena.close()


def _name(attack: Attack) -> str:
    return f"{attack.group}: {attack.tries}"


def test_there_are_a_hundred_attacks_of_different_names():
    assert len({_name(attack) for attack in ATTACKS}) == len(ATTACKS) >= 100


@pytest.mark.parametrize("role", ["app", "owner", "admin"])
@pytest.mark.parametrize("attack", ATTACKS, ids=_name)
def test_hostile_sql_is_refused_or_found(attack: Attack, role: str, arena: Arena):
    assert arena.outcome(attack.sql, role=role) == attack.outcome(role)
