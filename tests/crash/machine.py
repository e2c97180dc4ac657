"""A machine of its own for a crash test: a PostgreSQL, a web server, and people.

Nothing is shared with the other tests, as everything on it is killed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import environ
import psutil
from django.contrib.auth.models import Permission
from django.db import connections

from credits_project import embedded_postgres
from tests.bank.web import Web
from tests.factories import PASSWORD, make_user
from wallets import proof

_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Postgres:
    """A server with a data folder of its own, and the durability it comes with."""

    data_dir: Path

    @property
    def url(self) -> str:
        """The address of the database."""
        return embedded_postgres.url(self.data_dir)

    def start(self) -> None:
        """Start it, after a crash as well; return when it answers."""
        # It goes down with this process, should that be killed.
        embedded_postgres.ensure_running(self.data_dir, tethered=True)

    def stop(self) -> None:
        """Stop it in order."""
        embedded_postgres.stop(self.data_dir)

    def main_process(self) -> psutil.Process:
        """Return the postmaster."""
        file = self.data_dir / "postmaster.pid"
        return psutil.Process(int(file.read_text().split()[0]))

    def backends(self) -> list[psutil.Process]:
        """Return the processes that serve the connections."""
        title = f"postgres: {embedded_postgres.ROLE} {embedded_postgres.DATABASE} "
        found = []
        for process in self.main_process().children():
            try:
                if " ".join(process.cmdline()).startswith(title):
                    found.append(process)
            except psutil.Error:
                continue  # Gone since it was listed.
        return found

    def kill(self) -> None:
        """Kill the postmaster and all that it started, at one moment."""
        # The postmaster first: it would notice the others' death and clean up.
        postmaster = self.main_process()
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(processes[1:], timeout=20)


@dataclass(frozen=True)
class Machine:
    """What is killed, and the people whose credits are on it."""

    postgres: Postgres
    web: Web
    players: list[str]
    emails: list[str]

    def breaks(self) -> list[proof.Break]:
        """Return every place where the books are wrong."""
        try:
            return proof.breaks()
        finally:
            # Nothing of this process's own is to be among what is killed.
            connections.close_all()


@contextmanager
def running_machine(*, players: int, clients: int) -> Iterator[Machine]:
    """A migrated database with people in it, and a web server that serves it.

    Django's own connection in this process leads to it meanwhile.
    """
    # Not pytest's folder, whose path may be too long for a socket.
    with tempfile.TemporaryDirectory() as folder:
        postgres = Postgres(Path(folder) / "data")
        try:
            postgres.start()
            _migrate(postgres.url)
            with _django_on(postgres.url), Web(postgres.url) as web:
                people = [make_user("player", balance="15.00") for _ in range(players)]
                emails = _make_api_clients(clients)
                connections.close_all()
                web.start()
                ids = [str(user.pk) for user in people]
                yield Machine(postgres=postgres, web=web, players=ids, emails=emails)
        finally:
            postgres.stop()


def _migrate(url: str) -> None:
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        cwd=_ROOT,
        env={
            **os.environ,
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "credits_project.settings",
        },
        check=True,
        timeout=120,
    )


@contextmanager
def _django_on(url: str) -> Iterator[None]:
    settings = connections["default"].settings_dict
    kept = dict(settings)
    given = environ.Env.db_url_config(url)
    connections.close_all()
    settings.update(given)
    settings["OPTIONS"] = {**kept["OPTIONS"], **given["OPTIONS"]}
    try:
        yield
    finally:
        connections.close_all()
        settings.update(kept)


def _make_api_clients(count: int) -> list[str]:
    permission = Permission.objects.get(codename="transfer_credits")
    clients = [make_user("client", password=PASSWORD) for _ in range(count)]
    for client in clients:
        client.user_permissions.add(permission)
    return [client.email for client in clients]
