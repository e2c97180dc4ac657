"""What is done to the guards of any app's tables is seen by the proof."""

from __future__ import annotations

import json

import pytest
from django.db import connection, transaction

from wallets import guards, proof

pytestmark = pytest.mark.django_db

_NAMES = [
    name
    for guarded in guards.all_guarded()
    for name in json.loads(guarded.expected.read_text())
]


def _run(sql: str) -> None:
    with connection.cursor() as cursor:
        # Pending foreign keys would keep a table from being altered.
        cursor.execute(f"SET CONSTRAINTS ALL IMMEDIATE; {sql}")


@pytest.mark.parametrize(
    "guard", [name for name in _NAMES if name.startswith("trigger ")]
)
def test_a_trigger_that_is_switched_off_is_named(guard: str):
    table, _, trigger = guard.removeprefix("trigger ").partition(".")

    with transaction.atomic():
        _run(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}")
        found = list(guards.differences())
        transaction.set_rollback(True)

    assert found == [(guard, "is disabled or changed")]


@pytest.mark.parametrize(
    "guard", [name for name in _NAMES if name.startswith("function ")]
)
def test_a_function_that_does_something_else_is_named(guard: str):
    name = guard.removeprefix("function ")

    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT replace(pg_get_functiondef(oid), prosrc, prosrc || ' -- ') "
                "FROM pg_proc WHERE proname = %s",
                [name],
            )
            ((changed,),) = cursor.fetchall()
        _run(str(changed))
        found = list(guards.differences())
        transaction.set_rollback(True)

    # Itself, or the triggers that call it.
    assert found
    assert {what for _, what in found} == {"is disabled or changed"}


@pytest.mark.parametrize("guarded", guards.all_guarded(), ids=lambda g: g.prefix)
def test_a_check_that_is_dropped_is_a_break_of_the_books(guarded: guards.Guarded):
    names = json.loads(guarded.expected.read_text())
    check = next(
        name
        for name in names
        if name.startswith("constraint ")
        and not name.endswith("_pkey")
        and "_fk_" not in name
        and not name.endswith("_key")
    )
    table, _, constraint = check.removeprefix("constraint ").partition(".")

    with transaction.atomic():
        _run(f'ALTER TABLE {table} DROP CONSTRAINT "{constraint}"')
        found = proof.breaks()
        transaction.set_rollback(True)

    assert [(wrong.invariant, wrong.subject) for wrong in found] == [("guard", check)]
