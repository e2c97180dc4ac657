"""Sealing beside postings and beside another sealer, with real connections."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from tests.concurrency.threads import in_threads, kinds
from tests.factories import make_user, wallet_of
from tests.wallets.sealed import KEY, found, run, send
from wallets import seals
from wallets.models import CreditSeal, CreditTransaction
from wallets.seals import sealing

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture(autouse=True)
def sealed(settings: Any, tmp_path: Path) -> str:
    settings.LEDGER_SEAL_KEY = KEY
    settings.LEDGER_SEAL_FILE = str(tmp_path / "seals.jsonl")
    return settings.LEDGER_SEAL_FILE


@contextmanager
def in_background(work: Callable[[], Any]) -> Iterator[list[Any]]:
    """Run on another connection; the block's end waits for it and for its result."""
    results: list[Any] = []

    def run_it() -> None:
        try:
            results.append(work())
        except Exception as error:
            results.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run_it, daemon=True)
    thread.start()
    yield results
    thread.join(timeout=30)
    assert not thread.is_alive(), "it hangs"


class OpenPosting:
    """A transfer that is posted and not yet committed."""

    def __init__(self, payer: Any, payee: Any) -> None:
        self.is_posted, self.may_commit = threading.Event(), threading.Event()
        self._payer, self._payee = payer, payee

    def __call__(self) -> str:
        with transaction.atomic():
            send(self._payer, self._payee, "1.00")
            self.is_posted.set()
            assert self.may_commit.wait(10)
        return "committed"


def people() -> tuple[Any, Any, Any, Any]:
    """Two pairs that can pay each other at once, whose grants are sealed."""
    names = ("slow", "payee", "quick", "other")
    slow, payee, quick, other = (make_user(name, balance="10.00") for name in names)
    seals.seal_ledger()
    return slow, payee, quick, other


def rows_of(user: Any) -> list[int]:
    """The ids of the user's transactions after the first seal."""
    return list(
        CreditTransaction.objects.filter(
            wallet_id=wallet_of(user).pk,
            id__gt=CreditSeal.objects.get(number=1).last_id,
        ).values_list("pk", flat=True)
    )


def test_a_lower_id_that_commits_later_is_waited_for_and_is_in_the_seal():
    slow, payee, quick, other = people()
    posting = OpenPosting(slow, payee)
    is_waiting = threading.Event()

    with in_background(posting) as posted:
        assert posting.is_posted.wait(10)
        send(quick, other, "1.00")
        with in_background(
            lambda: seals.seal_ledger(progress=lambda line: is_waiting.set())
        ) as sealings:
            assert is_waiting.wait(10)
            assert CreditSeal.objects.count() == 1
            posting.may_commit.set()

    assert posted == ["committed"]
    [[seal]] = sealings
    assert rows_of(slow)[0] < rows_of(quick)[0] <= seal.last_id
    assert seal.transactions == 4
    assert found() == []


def test_without_waiting_the_lower_id_would_be_lost(monkeypatch: pytest.MonkeyPatch):
    """The control: the sealer is blind to who is still at it."""
    monkeypatch.setattr(sealing, "_WRITERS", "SELECT 1, '' WHERE false")
    slow, payee, quick, other = people()
    posting = OpenPosting(slow, payee)

    with in_background(posting):
        assert posting.is_posted.wait(10)
        send(quick, other, "1.00")
        [seal] = seals.seal_ledger()
        posting.may_commit.set()

    assert seal.transactions == 2
    assert [line.split(": ")[-1] for line in found()] == [
        "transactions were added, 4 instead of 2",
        "transfers were added, 2 instead of 1",
        "wallets were added, 4 instead of 2",
    ]


def test_what_is_posted_while_the_sealer_waits_is_in_the_next_seal():
    slow, payee, quick, other = people()
    posting = OpenPosting(slow, payee)
    is_waiting = threading.Event()

    with in_background(posting):
        assert posting.is_posted.wait(10)
        with in_background(
            lambda: seals.seal_ledger(progress=lambda line: is_waiting.set())
        ):
            assert is_waiting.wait(10)
            # Sealing keeps no posting waiting.
            send(quick, other, "1.00")
            posting.may_commit.set()
    seals.seal_ledger()

    assert sum(CreditSeal.objects.values_list("transactions", flat=True)) == 12
    assert found() == []


def test_a_posting_that_never_ends_is_named(monkeypatch: pytest.MonkeyPatch):
    slow, payee, quick, other = people()
    posting = OpenPosting(slow, payee)
    monkeypatch.setattr(sealing, "WAIT_SECONDS", 0.2)

    with in_background(posting):
        assert posting.is_posted.wait(10)
        send(quick, other, "1.00")
        with pytest.raises(seals.SealError, match="a posting has been open for"):
            seals.seal_ledger()
        posting.may_commit.set()

    assert CreditSeal.objects.count() == 1


def test_postings_and_sealing_at_once_lose_no_row():
    names = [f"user-{number}" for number in range(6)]
    users = [make_user(name, balance="50.00") for name in names]
    pairs = list(zip(users[::2], users[1::2], strict=True))

    def work(pair: Any) -> Any:
        if pair is None:
            return [seals.seal_ledger(transactions_max=7) for _ in range(10)]
        return [send(pair[0], pair[1], "1.00") for _ in range(20)]

    outcomes = in_threads(work, [*pairs, None])
    seals.seal_ledger()

    assert kinds(outcomes) == {"list": 4}
    assert (
        sum(CreditSeal.objects.values_list("transactions", flat=True))
        == CreditTransaction.objects.count()
    )
    assert found() == []


def wait_for_a_sealer() -> None:
    deadline = time.monotonic() + 10
    while not run(
        "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND database"
        " = (SELECT oid FROM pg_database WHERE datname = current_database())",
        sealing._LOCK,
    ):
        assert time.monotonic() < deadline, "nobody seals"


def test_two_sealers_at_once_are_one_seal_and_a_refusal(sealed: str):
    make_user("rich", balance="10.00")

    with Path(sealed).open("w") as file, in_background(seals.seal_ledger) as first:
        # The first one has the lock and is kept from the file.
        fcntl.flock(file, fcntl.LOCK_EX)
        wait_for_a_sealer()
        with in_background(seals.seal_ledger) as second:
            pass
        fcntl.flock(file, fcntl.LOCK_UN)

    assert kinds(second) == {"SealingInProgress": 1}
    assert [seal.number for seal in first[0]] == [1]
    assert found() == []


def test_without_the_lock_the_table_lets_one_of_two_sealers_in(
    monkeypatch: pytest.MonkeyPatch, settings: Any
):
    """The control: both have read the last seal before either adds the next."""
    settings.LEDGER_SEAL_FILE = ""
    make_user("rich", balance="10.00")
    have_read = threading.Event()
    both = threading.Barrier(2, action=have_read.set, timeout=10)
    read = sealing.last_seal

    def read_and_wait() -> Any:
        last = read()
        if not have_read.is_set():
            both.wait()
        return last

    monkeypatch.setattr(sealing, "_lock_others_out", lambda: None)
    monkeypatch.setattr(sealing, "last_seal", read_and_wait)

    outcomes = in_threads(lambda _: seals.seal_ledger(), range(2))

    assert kinds(outcomes) == {"list": 1, "IntegrityError": 1}
    assert CreditSeal.objects.count() == 1
    assert found() == []


def test_who_verifies_waits_for_the_line_of_a_seal_that_is_committed(sealed: str):
    make_user("rich", balance="10.00")
    seals.seal_ledger()
    line = Path(sealed).read_bytes()

    with Path(sealed).open("r+b") as file:
        # As the sealer has it between its commit and its line.
        fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        with in_background(found) as breaks:
            wait_for_a_reader(file.fileno(), or_result_in=breaks)
            file.write(line)
            file.flush()
            fcntl.flock(file, fcntl.LOCK_UN)

    assert breaks == [[]]


def wait_for_a_reader(descriptor: int, *, or_result_in: list[Any]) -> None:
    deadline = time.monotonic() + 10
    inode = f":{os.fstat(descriptor).st_ino} "
    while not or_result_in:
        locks = Path("/proc/locks").read_text().splitlines()
        if any("-> FLOCK" in line and inode in line for line in locks):
            return
        assert time.monotonic() < deadline, "nobody reads"


def test_who_verifies_while_seals_are_made_finds_table_and_file_alike():
    for number in range(20):
        make_user(f"user-{number}", balance="1.00")

    def work(seal: bool) -> Any:
        if seal:
            return seals.seal_ledger(transactions_max=1)
        return [found() for _ in range(10)]

    made, verified = in_threads(work, [True, False])

    assert len(made) == 40
    assert [breaks for breaks in verified if breaks not in ([], _UNSEALED)] == []


# What is right to say before the first seal.
_UNSEALED = ["ledger: 40 transactions were never sealed"]
