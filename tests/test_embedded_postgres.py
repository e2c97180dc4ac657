"""The embedded PostgreSQL: starts, stops, survives, and says what is wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from credits_project import embedded_postgres

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def shared_folder() -> Iterator[Path]:
    """Data of a server that has been set up, for tests that leave it usable."""
    # Not pytest's own folder, whose path may be too long for a socket.
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        embedded_postgres.ensure_running(data_dir)
        yield data_dir
        embedded_postgres.stop(data_dir)


@pytest.fixture
def data_dir(shared_folder: Path) -> Path:
    """Data of a server that is running."""
    embedded_postgres.ensure_running(shared_folder)
    return shared_folder


def ask(data_dir: Path, question: str) -> object:
    with psycopg.connect(embedded_postgres.url(data_dir)) as connection:
        row = connection.execute(question.encode()).fetchone()
        assert row is not None
        return row[0]


def pid_of(data_dir: Path) -> int:
    return int((data_dir / "postmaster.pid").read_text().split()[0])


def in_another_process(data_dir: Path, call: str) -> subprocess.Popen[str]:
    code = (
        "import sys; from pathlib import Path;"
        "from credits_project import embedded_postgres as postgres;"
        f"{call.format('Path(sys.argv[1])')}"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, str(data_dir)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("server_version_num", "18"),
        ("server_encoding", "UTF8"),
        ("data_checksums", "on"),
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("synchronous_commit", "on"),
        ("listen_addresses", ""),
        ("timezone", "UTC"),
    ],
)
def test_the_server_has_the_settings_that_money_needs(data_dir, setting, value):
    found = str(ask(data_dir, f"SELECT current_setting('{setting}')"))

    assert found == value or (setting == "server_version_num" and found[:2] == value)


def test_a_server_that_runs_is_left_alone(data_dir):
    before = pid_of(data_dir)

    embedded_postgres.ensure_running(data_dir)

    assert pid_of(data_dir) == before


def test_stopping_and_starting_keeps_the_data(data_dir):
    with psycopg.connect(embedded_postgres.url(data_dir)) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")

    embedded_postgres.stop(data_dir)
    was_running = embedded_postgres.is_running(data_dir)
    embedded_postgres.ensure_running(data_dir)

    assert not was_running
    assert ask(data_dir, "SELECT answer FROM kept") == 42


def test_stopping_a_server_that_does_not_run_changes_nothing(data_dir):
    embedded_postgres.stop(data_dir)

    embedded_postgres.stop(data_dir)

    assert not embedded_postgres.is_running(data_dir)


def test_a_server_that_was_killed_starts_again_with_what_was_committed(data_dir):
    with psycopg.connect(embedded_postgres.url(data_dir)) as connection:
        connection.execute("CREATE TABLE committed AS SELECT 7 AS answer")
    # A session that is busy when its server dies, and holds on to its memory.
    busy = psycopg.connect(embedded_postgres.url(data_dir))
    busy.execute("SELECT 1")

    os.kill(pid_of(data_dir), signal.SIGKILL)
    embedded_postgres.ensure_running(data_dir)

    assert ask(data_dir, "SELECT answer FROM committed") == 7
    busy.close()


def test_a_lock_whose_number_now_belongs_to_another_process_is_cleared(data_dir):
    os.kill(pid_of(data_dir), signal.SIGKILL)
    while embedded_postgres.is_running(data_dir):
        os.sched_yield()
    lock = data_dir / "postmaster.pid"
    lines = lock.read_text().splitlines(keepends=True)
    lock.write_text("".join([f"{os.getpid()}\n", *lines[1:]]))

    embedded_postgres.ensure_running(data_dir)

    assert pid_of(data_dir) != os.getpid()
    assert ask(data_dir, "SELECT 1") == 1


def test_a_killed_server_that_nobody_waits_for_does_not_count_as_running(data_dir):
    embedded_postgres.stop(data_dir)
    # Its parent lives and never waits, so the server stays a zombie once killed.
    parent = in_another_process(
        data_dir, "postgres.ensure_running({}); print(flush=True); sys.stdin.read()"
    )
    with parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        zombie = pid_of(data_dir)
        os.kill(zombie, signal.SIGKILL)

        embedded_postgres.ensure_running(data_dir)

        os.kill(zombie, 0)  # Still in the table of processes.
        assert pid_of(data_dir) != zombie
        parent.communicate()


def test_processes_that_start_it_at_once_share_one_server():
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        starters = [
            in_another_process(data_dir, "postgres.ensure_running({})")
            for _ in range(3)
        ]

        codes = [starter.communicate() and starter.returncode for starter in starters]

        assert codes == [0, 0, 0]
        log = data_dir.with_name("data.log").read_text()
        assert log.count("database system is ready to accept connections") == 1
        assert "FATAL:  lock file" not in log
        embedded_postgres.stop(data_dir)


def test_a_tethered_server_goes_down_with_the_process_that_started_it(data_dir):
    embedded_postgres.stop(data_dir)
    parent = in_another_process(
        data_dir,
        "postgres.ensure_running({}, tethered=True);"
        "print(flush=True); sys.stdin.read()",
    )
    with parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        assert embedded_postgres.is_running(data_dir)

        parent.kill()

    deadline = time.monotonic() + 10
    while embedded_postgres.is_running(data_dir):
        assert time.monotonic() < deadline
        os.sched_yield()


def test_data_of_another_version_is_refused_with_one_line(tmp_path):
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    (data_dir / "PG_VERSION").write_text("17\n")

    with pytest.raises(embedded_postgres.EmbeddedPostgresError) as refusal:
        embedded_postgres.ensure_running(data_dir)

    assert str(refusal.value) == (
        f"{data_dir} holds the data of PostgreSQL 17, and the embedded server is"
        " PostgreSQL 18: move the folder away, or set DATABASE_URL to a server of that"
        " version."
    )


def test_a_folder_of_something_else_is_refused_and_left_as_it_was(tmp_path):
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    (data_dir / "letter.txt").write_text("mine")

    with pytest.raises(
        embedded_postgres.EmbeddedPostgresError, match="is not a data folder"
    ):
        embedded_postgres.ensure_running(data_dir)

    assert [path.name for path in data_dir.iterdir()] == ["letter.txt"]


def test_a_setup_that_was_cut_short_is_done_again():
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        unfinished = Path(folder) / "data.new"
        unfinished.mkdir()
        (unfinished / "PG_VERSION").write_text("18\n")

        embedded_postgres.ensure_running(data_dir)

        assert ask(data_dir, "SELECT 1") == 1
        assert not unfinished.exists()
        embedded_postgres.stop(data_dir)


def test_a_path_too_long_for_a_socket_works_all_the_same():
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / ("long" * 30) / "data"

        embedded_postgres.ensure_running(data_dir)

        assert ask(data_dir, "SELECT 1") == 1
        (host,) = parse_qs(urlsplit(embedded_postgres.url(data_dir)).query)["host"]
        assert Path(host).is_symlink()
        embedded_postgres.stop(data_dir)
        assert not Path(host).is_symlink()


def test_the_address_is_known_before_the_server_runs(tmp_path):
    before = embedded_postgres.url(tmp_path / "data")

    assert before == embedded_postgres.url(tmp_path / "data")
    assert before.startswith("postgresql://credits@/credits?host=")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_user_of_the_machine_is_not_let_in(data_dir):
    script = (
        "import os, sys, psycopg\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try:\n    psycopg.connect(sys.argv[1])\n"
        "except psycopg.OperationalError as error:\n    print(error)\n"
    )
    # As if the folder's permissions were no hindrance: the server itself refuses.
    for folder in (data_dir, data_dir.parent):
        folder.chmod(0o711)

    try:
        attempt = subprocess.run(
            [sys.executable, "-c", script, embedded_postgres.url(data_dir)],
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        for folder in (data_dir, data_dir.parent):
            folder.chmod(0o700)

    assert "Peer authentication failed" in attempt.stdout
