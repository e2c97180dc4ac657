"""`make run`, where it cannot: one clear line, and nothing left running."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from credits_project import demo_environment, embedded_postgres

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with what starts the system, and no data."""
    shutil.copytree(ROOT / "credits_project", tmp_path / "credits_project")
    shutil.copy(ROOT / "manage.py", tmp_path)
    return tmp_path


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """An environment that says nothing about the system; restored afterwards."""
    before = dict(os.environ)
    for name in (*demo_environment.NAMES, "DATABASE_URL", "DEBUG"):
        os.environ.pop(name, None)
    os.environ["PORT"] = str(free_port())
    # Not pytest's own: that one is undone after this fixture, and would take away again
    # what was restored, DATABASE_URL for one.
    with pytest.MonkeyPatch.context() as patch:
        # A developer's `.env` is none of these tests' business.
        patch.setattr(demo_environment, "BASE_DIR", tmp_path)
        yield patch
    os.environ.clear()
    os.environ.update(before)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def refusal_of_run(checkout: Path) -> str:
    """Return the one line with which starting the system is refused."""
    run = subprocess.run(
        [sys.executable, "-m", "credits_project.run"],
        cwd=checkout,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 1
    assert not embedded_postgres.is_running(checkout / ".data" / "postgres")
    return run.stderr


def test_a_port_that_is_taken_is_named(checkout, environment):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        environment.setenv("PORT", str(port))

        line = refusal_of_run(checkout)

    assert line == (
        f"make run: port {port} is taken: stop what uses it, or choose another one,"
        " as in PORT=8100 make run.\n"
    )


@pytest.mark.parametrize("port", ["web", "0", "65536", "-1", "80.5"])
def test_a_port_that_is_no_port_is_refused(checkout, environment, port):
    environment.setenv("PORT", port)

    line = refusal_of_run(checkout)

    assert line == (f"make run: PORT must be a number from 1 to 65535, not {port!r}.\n")


def test_a_second_start_in_the_same_folder_is_refused(checkout, environment):
    (checkout / ".data").mkdir()
    with (checkout / ".data" / "run.lock").open("w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)

        line = refusal_of_run(checkout)

    assert line == "make run: it is running already in this folder.\n"


def test_data_of_another_postgresql_is_refused(checkout, environment):
    data_dir = checkout / ".data" / "postgres"
    data_dir.mkdir(parents=True)
    (data_dir / "PG_VERSION").write_text("17\n")

    line = refusal_of_run(checkout)

    assert line.startswith(
        f"make run: {data_dir} holds the data of PostgreSQL 17, and the embedded server"
        " is PostgreSQL 18: "
    )
    assert line.count("\n") == 1


def test_a_database_that_does_not_answer_is_refused_without_its_password(
    checkout, environment
):
    address = f"postgres://me:hidden@127.0.0.1:{free_port()}/credits"
    environment.setenv("DATABASE_URL", address)

    line = refusal_of_run(checkout)

    assert line.startswith("make run: DATABASE_URL: ")
    assert "refused" in line
    assert "hidden" not in line
    assert line.count("\n") == 1
    assert not (checkout / ".data" / "postgres").exists()


def test_env_file_is_heeded(checkout, environment):
    environment.delenv("PORT")
    (checkout / ".env").write_text("PORT=nonsense\n")

    line = refusal_of_run(checkout)

    assert line == (
        "make run: PORT must be a number from 1 to 65535, not 'nonsense'.\n"
    )


def test_demo_secrets_are_made_once_and_readable_by_their_owner_only(
    tmp_path, environment
):
    file = tmp_path / "demo.env"

    demo_environment.prepare({"PORT": "8000"}, file)
    first = os.environ["SECRET_KEY"]
    environment.delenv("SECRET_KEY")
    demo_environment.prepare({"PORT": "8000"}, file)

    assert os.environ["SECRET_KEY"] == first
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_demo_relaxes_two_things_only(tmp_path, environment):
    demo_environment.prepare({}, tmp_path / "demo.env")

    assert os.environ["STAFF_MFA_REQUIRED"] == "false"
    assert os.environ["PAYOUT_COOLING_OFF_HOURS"] == "0"
    assert "DEBUG" not in os.environ
    assert set(demo_environment.NAMES) == {
        "SECRET_KEY", "ALLOWED_HOSTS", "FIELD_ENCRYPTION_KEY", "LEDGER_SEAL_KEY",
        "PAYCHANGU_MODE", "PAYCHANGU_SECRET_KEY", "PAYCHANGU_WEBHOOK_SECRET",
        "PAYCHANGU_BASE_URL", "SITE_URL", "STAFF_MFA_REQUIRED",
        "PAYOUT_COOLING_OFF_HOURS",
    }  # fmt: skip


def test_the_environment_wins_over_the_demo(tmp_path, environment):
    environment.setenv("STAFF_MFA_REQUIRED", "true")

    demo_environment.prepare({}, tmp_path / "demo.env")

    assert os.environ["STAFF_MFA_REQUIRED"] == "true"


def test_a_gateway_of_ones_own_is_not_sent_the_simulators_keys(tmp_path, environment):
    environment.setenv("PAYCHANGU_BASE_URL", "https://api.paychangu.com")

    demo_environment.prepare({}, tmp_path / "demo.env")

    assert "PAYCHANGU_SECRET_KEY" not in os.environ
    assert "PAYCHANGU_WEBHOOK_SECRET" not in os.environ


def test_a_server_of_ones_own_does_without_the_demos_secrets(tmp_path, environment):
    file = tmp_path / "demo.env"
    demo_environment.prepare({}, file)
    environment.delenv("SECRET_KEY")
    environment.setenv("DATABASE_URL", "postgres://me@db.example.com/credits")

    demo_environment.apply(file)

    assert "SECRET_KEY" not in os.environ


def test_a_shell_beside_a_demo_on_the_same_server_has_its_secrets(
    tmp_path, environment
):
    file = tmp_path / "demo.env"
    environment.setenv("DATABASE_URL", "postgres://me@db.example.com/credits")
    demo_environment.prepare({}, file)
    environment.delenv("SECRET_KEY")

    demo_environment.apply(file)

    assert "SECRET_KEY" in os.environ
