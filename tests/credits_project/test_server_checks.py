"""An unsafe server is refused: a real one, made unsafe by hand."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.checks import run_checks
from django.db import connection

from credits_project import embedded_postgres, server_checks
from tests.credits_project.connecting import connected_with
from tests.simulator_process import until

_ROOT = Path(__file__).resolve().parents[2]


def ids(deploy: bool = False) -> set[str]:
    found = run_checks(databases=["default"], include_deployment_checks=deploy)
    # Other checks have their own tests.
    return {str(each.id) for each in found if str(each.id)[-3:-2] == "1"}


# On the tests' own server


@pytest.mark.django_db
def test_the_tests_run_on_a_safe_server():
    assert ids() == set()


@pytest.mark.django_db
def test_nothing_is_looked_at_unless_a_database_is_named():
    found = run_checks(databases=[], include_deployment_checks=False)

    assert [each for each in found if str(each.id).startswith("credits.")] == []


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize(
    ("setting", "finding"),
    [
        ("synchronous_commit=off", "credits.E103"),
        ("synchronous_commit=local", "credits.E103"),
        ("synchronous_commit=remote_write", "credits.E103"),
        ("default_transaction_isolation=serializable", "credits.E104"),
        ("session_replication_role=replica", "credits.E107"),
        ("lock_timeout=0", "credits.W102"),
    ],
)
def test_an_unsafe_session_is_found(setting: str, finding: str):
    with connected_with(options=f"-c {setting}"):
        assert ids() == {finding}


@pytest.mark.usefixtures("committed")
def test_waiting_for_replicas_to_show_it_is_as_safe():
    with connected_with(options="-c synchronous_commit=remote_apply"):
        assert ids() == set()


@pytest.mark.usefixtures("committed")
def test_numbers_cut_to_32_bits_are_found():
    with connected_with(server_side_binding=True):
        assert ids() == {"credits.E105"}


@pytest.mark.usefixtures("committed", "as_owner")
def test_what_a_role_or_database_says_does_not_reach_the_sessions_of_the_site():
    name = connection.settings_dict["NAME"]
    with connection.cursor() as cursor:
        for setting in (
            "synchronous_commit = off",
            "default_transaction_isolation = serializable",
            "statement_timeout = 0",
        ):
            cursor.execute(f'ALTER DATABASE "{name}" SET {setting}')
    connection.close()

    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")

        assert cursor.fetchone() == ("on",)
    assert ids() == set()


@pytest.mark.usefixtures("committed", "as_owner")
def test_a_table_that_a_crash_would_empty_is_found():
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE credit_seals SET UNLOGGED")
        found = ids()
        cursor.execute("ALTER TABLE credit_seals SET LOGGED")

    assert found == {"credits.E106"}


@pytest.mark.usefixtures("committed", "as_owner")
def test_a_site_that_could_switch_the_guards_off_is_warned_before_it_goes_live():
    assert "credits.W103" in ids(deploy=True)


@pytest.mark.usefixtures("committed")
def test_a_site_with_the_apps_role_is_not(roles: Any):
    with connected_with(assume_role=roles.app):
        assert "credits.W103" not in ids(deploy=True)


# On a server of their own


class Server:
    """A PostgreSQL without our tables, whose settings can be changed."""

    def __init__(self, data_dir: Path) -> None:
        self.url = embedded_postgres.url(data_dir)

    def set(self, name: str, value: str) -> None:
        """Change a setting of the whole server, and wait until it is in force."""
        with psycopg.connect(self.url, autocommit=True) as server:
            server.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
            server.execute("SELECT pg_reload_conf()")

        def is_in_force() -> bool:
            with psycopg.connect(self.url) as server:
                return server.execute(f"SHOW {name}".encode()).fetchone() == (value,)

        until(is_in_force)

    def run(self, *command: str) -> Any:
        """Run a program of the site's against this server, to its end."""
        return subprocess.run(
            [sys.executable, *command],
            cwd=_ROOT,
            env={
                **os.environ,
                "DATABASE_URL": self.url,
                "DJANGO_SETTINGS_MODULE": "credits_project.settings",
            },
            capture_output=True,
            text=True,
            timeout=60,
        )


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    # Not pytest's folder, whose path may be too long for a socket.
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        embedded_postgres.ensure_running(data_dir, tethered=True)
        try:
            yield Server(data_dir)
        finally:
            embedded_postgres.stop(data_dir)


@pytest.fixture(params=["fsync", "full_page_writes"])
def unsafe_server(own_server: Server, request: pytest.FixtureRequest) -> Iterator[Any]:
    own_server.set(request.param, "off")
    yield own_server, request.param
    own_server.set(request.param, "on")


@pytest.mark.parametrize(
    "command",
    [
        ("manage.py", "check", "--database", "default"),
        ("manage.py", "migrate"),
        ("manage.py", "procrastinate", "worker", "--one-shot"),
        ("-c", "import credits_project.wsgi"),
    ],
    ids=["check", "migrate", "worker", "web"],
)
def test_nothing_starts_on_a_server_that_a_crash_would_damage(
    unsafe_server: tuple[Server, str], command: tuple[str, ...]
):
    server, setting = unsafe_server

    ended = server.run(*command)

    assert ended.returncode != 0
    said = [line for line in ended.stderr.splitlines() if f"{setting} is off" in line]
    assert said
    assert "Traceback" not in ended.stderr


class Site:
    """A WSGI application that is guarded, and what became of the requests to it."""

    def __init__(self) -> None:
        self.answers: list[str] = []
        self._guarded = server_checks.guarded(self._serve)

    def ask(self) -> str:
        """Send a request; return the answer's status."""
        self._guarded({}, lambda status, _: self.answers.append(status))
        return self.answers[-1]

    def _serve(self, environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return []


@pytest.mark.usefixtures("committed")
def test_a_web_server_whose_database_is_down_starts_and_looks_again(
    unsafe_server: tuple[Server, str],
):
    server, _ = unsafe_server
    found = psycopg.conninfo.conninfo_to_dict(server.url)

    with connected_with(host="/nonexistent"):
        site = Site()
        while_down = site.ask()
    with connected_with(host=found["host"], name=str(found["dbname"])):
        once_up = site.ask()

    assert while_down == "200 OK"
    assert once_up == "503 Service Unavailable"


@pytest.mark.usefixtures("committed")
def test_a_web_server_on_a_safe_server_serves():
    assert Site().ask() == "200 OK"
