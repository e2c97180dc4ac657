"""Sealing: what it writes, when it refuses, and how it goes on after a crash.

Runs with the app's rights, which may insert and look and nothing else.
"""

from __future__ import annotations

import json
import os
import resource
import stat
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from tests.factories import make_user
from tests.wallets.sealed import (
    KEY,
    OTHER_KEY,
    found,
    guards_off,
    insert_transfer,
    lines,
    run,
    send,
    story,
)
from wallets import seals, tasks
from wallets.models import CreditSeal, CreditTransaction
from wallets.statements import constraint_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def sealed(settings: Any, tmp_path: Path) -> str:
    settings.LEDGER_SEAL_KEY = KEY
    settings.LEDGER_SEAL_FILE = str(tmp_path / "seals.jsonl")
    return settings.LEDGER_SEAL_FILE


def run_command(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command(*arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_a_seal_covers_what_was_posted_since_the_last_one():
    story()

    first, second = CreditSeal.objects.order_by("number")
    assert (first.number, first.after_id, first.transactions) == (1, 0, 8)
    assert (first.transfers, first.wallets) == (4, 3)
    assert (second.number, second.after_id) == (2, first.last_id)
    assert (second.transactions, second.transfers, second.wallets) == (6, 3, 2)
    assert second.previous_digest == first.digest
    assert second.last_id == CreditTransaction.objects.latest("id").pk


def test_the_file_has_a_line_for_each_seal_that_its_owner_alone_may_read(sealed: str):
    story()

    assert [json.loads(line) for line in lines(sealed)] == [
        {
            **{field.name: getattr(seal, field.name) for field in seal._meta.fields},
            "sealed_at": seal.sealed_at.isoformat(timespec="microseconds"),
        }
        for seal in CreditSeal.objects.order_by("number")
    ]
    assert stat.S_IMODE(os.stat(sealed).st_mode) == 0o600


def test_nothing_is_sealed_where_nothing_was_posted(sealed: str):
    story()
    before = Path(sealed).read_bytes()

    out, _ = run_command("seal_ledger")

    assert out == "Nothing was posted since the last seal.\n"
    assert Path(sealed).read_bytes() == before


def test_an_empty_ledger_has_no_seal_and_nothing_is_wrong():
    assert seals.seal_ledger() == []
    assert found() == []


def test_more_than_one_seal_covers_makes_more_of_them_even_between_a_transfers_rows():
    rich, poor = make_user("rich", balance="10.00"), make_user("poor")
    for _ in range(3):
        send(rich, poor, "1.00")

    made = seals.seal_ledger(transactions_max=3)

    assert [seal.transactions for seal in made] == [3, 3, 2]
    assert found() == []


def test_the_command_says_what_it_sealed():
    make_user("rich", balance="10.00")

    out, err = run_command("seal_ledger")

    seal = CreditSeal.objects.get()
    assert out == f"seal 1: 2 transactions up to {seal.last_id}, {seal.digest}\n"
    assert err == ""


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("", "LEDGER_SEAL_KEY is not set."),
        ("x" * 31, "LEDGER_SEAL_KEY has fewer than 32 characters."),
    ],
)
def test_without_a_key_nothing_is_sealed(settings: Any, key: str, message: str):
    make_user("rich", balance="10.00")
    settings.LEDGER_SEAL_KEY = key

    with pytest.raises(CommandError, match=message):
        run_command("seal_ledger")

    assert not CreditSeal.objects.exists()


def test_without_a_file_it_seals_and_warns(settings: Any):
    make_user("rich", balance="10.00")
    settings.LEDGER_SEAL_FILE = ""

    out, err = run_command("seal_ledger")

    assert out.startswith("seal 1:")
    assert err.startswith("LEDGER_SEAL_FILE is not set")
    assert seals.verify_seals().notes[0].startswith("LEDGER_SEAL_FILE is not set")


def test_a_folder_that_is_not_there_is_said_and_nothing_is_sealed(settings: Any):
    make_user("rich", balance="10.00")
    settings.LEDGER_SEAL_FILE += "/no/such"

    with pytest.raises(CommandError, match=r"LEDGER_SEAL_FILE .*No such file"):
        run_command("seal_ledger")

    assert not CreditSeal.objects.exists()


def test_another_key_seals_nothing_on_top(settings: Any):
    rich, poor = story()
    send(rich, poor, "1.00")
    settings.LEDGER_SEAL_KEY = OTHER_KEY

    with pytest.raises(seals.SealChainBroken, match="Seal 2 was not made with this"):
        seals.seal_ledger()

    assert CreditSeal.objects.count() == 2


def test_inside_somebody_elses_transaction_nothing_is_sealed(sealed: str):
    make_user("rich", balance="10.00")

    # What is written to the file could not be taken back with the rest.
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        seals.seal_ledger()

    assert not Path(sealed).exists()


# After a crash. The table has the seal; the line is missing, or a part of it.


@pytest.mark.parametrize("bytes_written", [0, 1, 100])
def test_a_line_that_a_crash_kept_from_being_written_is_written_next(
    sealed: str, bytes_written: int
):
    story()
    first, second = lines(sealed)
    Path(sealed).write_bytes(first + second[:bytes_written])

    seals.seal_ledger()

    assert lines(sealed) == [first, second]


def test_the_first_line_is_written_next_too(sealed: str):
    make_user("rich", balance="10.00")
    seals.seal_ledger()
    written = lines(sealed)
    Path(sealed).unlink()

    seals.seal_ledger()

    assert lines(sealed) == written


def test_a_disk_that_is_full_leaves_the_seal_to_the_next_run(sealed: str):
    rich, poor = story()
    send(rich, poor, "1.00")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize(sealed) + 10, limits[1]))
    try:
        with pytest.raises(seals.SealError, match="Seal 3 is in the database and not"):
            seals.seal_ledger()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert found() == [
        "file: the last line is cut off",
        "seal 3: is missing in the file: lines were removed",
    ]
    seals.seal_ledger()

    assert found() == []


@pytest.mark.parametrize(
    ("kept", "added", "message"),
    [
        (0, b"", "lacks 2 seals of the table, from 1 on"),
        (1, b"half a line", "ends in a line that is not of the last seal"),
        (2, b"nonsense\n", "ends in a line that is no seal"),
    ],
)
def test_what_no_crash_leaves_is_left_for_people_to_look_at(
    sealed: str, kept: int, added: bytes, message: str
):
    rich, poor = story()
    send(rich, poor, "1.00")
    left = b"".join(lines(sealed)[:kept]) + added
    Path(sealed).write_bytes(left)

    with pytest.raises(seals.SealChainBroken, match=message):
        seals.seal_ledger()

    assert Path(sealed).read_bytes() == left
    assert CreditSeal.objects.count() == 2


@pytest.mark.usefixtures("as_owner")
@pytest.mark.parametrize(
    ("tampering", "message"),
    [
        ("DELETE FROM credit_seals WHERE number = 2", "which ends with seal 1"),
        ("TRUNCATE credit_seals", "which is empty"),
    ],
)
def test_seals_that_the_table_lost_are_not_made_anew(tampering: str, message: str):
    rich, poor = story()
    send(rich, poor, "1.00")

    with guards_off():
        run(tampering)
        with pytest.raises(seals.SealChainBroken, match=message):
            seals.seal_ledger()


def test_the_file_of_another_ledger_is_not_written_to(settings: Any, sealed: str):
    story()
    first = lines(sealed)[0]
    Path(sealed).write_bytes(first.replace(b'"number": 1', b'"number": 0'))

    with pytest.raises(seals.SealChainBroken, match="has other seals than the table"):
        seals.seal_ledger()


def test_a_new_file_is_completed_where_that_is_asked_for(sealed: str):
    story()
    written = lines(sealed)
    Path(sealed).unlink()

    run_command("seal_ledger", "--complete-file")

    assert lines(sealed) == written


# The table.


def refused(sql: str) -> str:
    with pytest.raises(IntegrityError) as refusal, transaction.atomic():
        run(sql)
    return constraint_of(refusal.value)


@pytest.mark.usefixtures("as_owner")
@pytest.mark.parametrize("role", ["origin", "replica"])
@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE credit_seals SET digest = digest",
        "DELETE FROM credit_seals",
        "TRUNCATE credit_seals",
    ],
)
def test_a_seal_is_never_changed_or_removed(sql: str, role: str):
    story()
    run(f"SET LOCAL session_replication_role = {role}")

    assert refused(sql) == "ledger_append_only"


@pytest.mark.usefixtures("as_owner")
@pytest.mark.parametrize("role", ["origin", "replica"])
@pytest.mark.parametrize(
    ("number", "after", "previous"),
    [
        ("number + 2", "last_id", "digest"),
        ("number", "last_id", "digest"),
        ("number + 1", "last_id + 1", "digest"),
        ("number + 1", "last_id - 1", "digest"),
        ("number + 1", "last_id", "previous_digest"),
    ],
)
def test_a_seal_takes_up_where_the_last_one_ended(
    number: str, after: str, previous: str, role: str
):
    story()
    run(f"SET LOCAL session_replication_role = {role}")

    refusal = refused(
        f"INSERT INTO credit_seals SELECT {number}, {after}, last_id + 9, 1, 1, 1,"
        f" 'x', 'x', 'x', {previous}, 'y', now()"
        " FROM credit_seals ORDER BY number DESC LIMIT 1"
    )

    assert refusal == "ledger_seal_follows"


# The periodic work.


def test_the_worker_seals_and_verifies(caplog: pytest.LogCaptureFixture):
    make_user("rich", balance="10.00")

    tasks.seal_ledger(timestamp=0)
    tasks.verify_seals(timestamp=0)

    assert CreditSeal.objects.count() == 1
    assert caplog.messages == []


def test_the_worker_raises_the_alert(caplog: pytest.LogCaptureFixture, sealed: str):
    story()
    Path(sealed).write_bytes(b"")

    tasks.seal_ledger(timestamp=0)
    tasks.verify_seals(timestamp=0)

    refusal, missing = caplog.messages
    assert refusal.startswith("the ledger was not sealed: LEDGER_SEAL_FILE")
    assert missing == (
        "history was changed: I16 seals 1 to 2:"
        " is missing in the file: lines were removed"
    )


def test_the_worker_without_a_key_says_so(
    caplog: pytest.LogCaptureFixture, settings: Any
):
    make_user("rich", balance="10.00")
    settings.LEDGER_SEAL_KEY = ""

    tasks.seal_ledger(timestamp=0)
    tasks.verify_seals(timestamp=0)

    assert caplog.messages == ["the ledger is not sealed: LEDGER_SEAL_KEY is not set"]
    assert not CreditSeal.objects.exists()


@pytest.mark.usefixtures("as_owner")
def test_a_row_with_an_id_of_its_own_does_not_carry_the_seals_away():
    rich, poor = story()

    with guards_off():
        insert_transfer(rich, poor, (10**12, 10**12 + 1))
        send(rich, poor, "1.00")
        [seal] = seals.seal_ledger()

    assert seal.transactions == 2
