"""The whole system on one machine, until Ctrl-C: what `make run` starts.

PostgreSQL, migrations, demo data, then the web server, the worker and the simulator of
the payment gateway. With DATABASE_URL no PostgreSQL is started, with PAYCHANGU_BASE_URL
no simulator.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg

from credits_project import demo_environment, embedded_postgres
from credits_project.supervisor import Program, Supervisor, write_line
from credits_project.tether import tie_to_parent

HOST = "127.0.0.1"
# From the start of the programs until all of them answer.
READY_SECONDS = 90.0
# How far the simulator may move away from its place, the port after the site's.
_SIMULATOR_PORTS = 20
_MANAGE = [sys.executable, str(demo_environment.BASE_DIR / "manage.py")]
_OLDEST_SERVER = 150000


class CannotRun(Exception):
    """Why the system does not start, in one line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is going to run, and where."""

    port: int
    # None where the environment names a gateway.
    simulator_port: int | None
    has_own_database: bool

    @property
    def site_url(self) -> str:
        """The address of the site, without a slash at its end."""
        return os.environ.get("SITE_URL", "").strip() or f"http://{HOST}:{self.port}"


def main() -> int:
    """Run everything until asked to stop; return the exit code."""
    if "MAKELEVEL" in os.environ:
        # `make`, killed, must not leave its children behind.
        tie_to_parent(signal.SIGTERM)
    # A closed terminal and SIGTERM end the preparations as Ctrl-C does.
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _interrupt)
    try:
        with _only_one():
            return _run(_make_plan())
    except (CannotRun, embedded_postgres.EmbeddedPostgresError) as error:
        sys.stderr.write(f"make run: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def _run(plan: Plan) -> int:
    addresses = {"SITE_URL": plan.site_url}
    if plan.simulator_port is not None:
        addresses["PAYCHANGU_BASE_URL"] = f"http://{HOST}:{plan.simulator_port}"
    demo_environment.prepare(addresses)
    # Nothing is collected: files are served out of their packages. Whitenoise warns
    # where the folder is missing, once for each process.
    (demo_environment.BASE_DIR / "staticfiles").mkdir(exist_ok=True)
    try:
        if plan.has_own_database:
            _check_database(os.environ["DATABASE_URL"])
        else:
            write_line("Starting PostgreSQL …")
            embedded_postgres.ensure_running(tethered=True)
            # The programs take it from here and start no server themselves.
            os.environ["DATABASE_URL"] = embedded_postgres.url()
        write_line("Migrating …")
        _manage("migrate", "--verbosity", "0")
        if _has_command("load_demo"):
            write_line("Loading the demo …")
            _manage("load_demo", "--verbosity", "0")
        return _serve(plan)
    finally:
        if not plan.has_own_database:
            # A second Ctrl-C must not cut the shutdown short.
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            embedded_postgres.stop()


# Before anything is started


def _make_plan() -> Plan:
    demo_environment.read_env_file()
    word = os.environ.get("PORT", "").strip() or "8000"
    if not (word.isascii() and word.isdigit()) or not 1 <= int(word) <= 65535:
        raise CannotRun(f"PORT must be a number from 1 to 65535, not {word!r}.")
    port = int(word)
    if not _is_free(port):
        raise CannotRun(
            f"port {port} is taken: stop what uses it, or choose another one, as in"
            " PORT=8100 make run."
        )
    simulator_port = None
    if not os.environ.get("PAYCHANGU_BASE_URL", "").strip():
        candidates = range(port + 1, min(port + 1 + _SIMULATOR_PORTS, 65536))
        simulator_port = next(filter(_is_free, candidates), None)
        if simulator_port is None:
            raise CannotRun(f"no port after {port} is free for the simulator.")
    return Plan(
        port=port,
        simulator_port=simulator_port,
        has_own_database=demo_environment.has_own_database(),
    )


def _is_free(port: int) -> bool:
    with socket.socket() as candidate:
        # Ports of connections that have just ended count as free, listeners do not.
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((HOST, port))
        except OSError:
            return False
        return True


@contextlib.contextmanager
def _only_one() -> Iterator[None]:
    """Refuse a second `make run` in this checkout: both would own one database."""
    folder = demo_environment.FILE.parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (folder / "run.lock").open("a")
    except PermissionError as error:
        raise CannotRun(f"{error.filename} belongs to another account.") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotRun("it is running already in this folder.") from None
        yield


def _check_database(url: str) -> None:
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            version = connection.info.server_version
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[0]
        raise CannotRun(f"DATABASE_URL: {reason}") from error
    if version < _OLDEST_SERVER:
        raise CannotRun(
            f"DATABASE_URL: PostgreSQL 15 or newer is needed, not {version // 10000}."
        )


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


# The project's commands


def _has_command(name: str) -> bool:
    commands = demo_environment.BASE_DIR / "credits_project" / "management" / "commands"
    return (commands / f"{name}.py").exists()


def _manage(*arguments: str) -> str:
    """Run a command of the project to its end, and return what it printed.

    Raises:
        CannotRun: it failed; its output has been shown.
    """
    # A group of its own, as Ctrl-C in the terminal is for this process, which then
    # ends the command through the `with`.
    with subprocess.Popen(
        [*_MANAGE, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        process_group=0,
        text=True,
    ) as command:
        try:
            output, _ = command.communicate()
        except KeyboardInterrupt:
            command.terminate()
            raise
    if command.returncode != 0:
        for line in output.splitlines():
            write_line(f"{arguments[0]:>9} | {line}")
        raise CannotRun(f"manage.py {arguments[0]} failed.")
    return output


# Running


def _programs(plan: Plan) -> list[Program]:
    web = [sys.executable, "-m", "granian", "credits_project.wsgi:application"]
    web += ["--interface", "wsgi", "--host", HOST, "--port", str(plan.port)]
    # One worker a core and one thread each measured best; a thread holds a connection.
    web += ["--workers", str(os.cpu_count() or 1), "--blocking-threads", "1"]
    web += ["--no-ws", "--log-level", "warning"]
    web += ["--respawn-failed-workers", "--respawn-interval", "0.5"]
    web += ["--workers-kill-timeout", "8"]
    web += ["--working-dir", str(demo_environment.BASE_DIR)]
    worker = [*_MANAGE, "procrastinate", "worker", "--shutdown-graceful-timeout", "8"]
    programs = [
        Program(name="web", command=web),
        # It ends in order only while the database answers, which goes down with the
        # supervisor. Killing it is harmless: what it was doing is leased, not lost.
        Program(name="worker", command=worker, orphan_signal=signal.SIGKILL),
    ]
    if plan.simulator_port is not None:
        webhooks = f"http://{HOST}:{plan.port}/api/v1/webhooks/paychangu"
        simulator = [*_MANAGE, "paychangu_simulator"]
        simulator += ["--port", str(plan.simulator_port), "--webhook-url", webhooks]
        # Payments and payouts that it knows of outlive it, as the tables do here.
        simulator += ["--state", str(demo_environment.FILE.with_name("simulator.db"))]
        programs.insert(0, Program(name="simulator", command=simulator))
    return programs


def _serve(plan: Plan) -> int:
    def keep_database_running() -> None:
        if not plan.has_own_database and not embedded_postgres.is_running():
            write_line("PostgreSQL is gone; starting it again.")
            embedded_postgres.ensure_running(tethered=True)

    supervisor = Supervisor(
        _programs(plan),
        before_start=keep_database_running,
        retry_on=embedded_postgres.EmbeddedPostgresError,
    )
    started_at = time.monotonic()
    is_ready = False

    def greet_once_ready() -> None:
        nonlocal is_ready
        if is_ready:
            return
        if _all_answer(plan):
            is_ready = True
            _greet(plan)
        elif time.monotonic() - started_at > READY_SECONDS:
            supervisor.request_stop()

    with supervisor.stopping_on_signals():
        supervisor.run(each_turn=greet_once_ready)
        if not is_ready and time.monotonic() - started_at > READY_SECONDS:
            raise CannotRun(
                f"the site does not answer after {READY_SECONDS:.0f} s; what its"
                " programs said is above."
            )
        write_line("Stopped.")
        return 0


def _all_answer(plan: Plan) -> bool:
    return _is_healthy(plan.port) and (
        plan.simulator_port is None or _listens(plan.simulator_port)
    )


def _is_healthy(port: int) -> bool:
    try:
        # The address is ours; the site's own name may lead through a proxy.
        with urllib.request.urlopen(
            f"http://{HOST}:{port}/healthz", timeout=2
        ) as answer:
            return int(answer.status) == 200
    except (urllib.error.URLError, OSError):
        return False


def _listens(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=2):
            return True
    except OSError:
        return False


def _greet(plan: Plan) -> None:
    lines = [
        "",
        f"Site           {plan.site_url}/",
        f"Staff console  {plan.site_url}/admin/",
        f"API docs       {plan.site_url}/api/v1/docs",
    ]
    if plan.simulator_port is not None:
        lines += [f"Simulator      http://{HOST}:{plan.simulator_port}/"]
    if _has_command("load_demo"):
        lines += ["", *_manage("load_demo", "--print-accounts").splitlines()]
    for line in [*lines, "", "Ctrl-C stops everything.", ""]:
        write_line(line)


if __name__ == "__main__":
    sys.exit(main())
