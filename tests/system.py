"""The running system for tests: web server, worker and simulator, each a process."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import IO, Any, Self

import requests

from tests.postgres import database_url
from tests.simulator_process import SimulatorProcess, start_simulator, until

_ROOT = Path(__file__).resolve().parents[1]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as candidate:
        candidate.bind(("127.0.0.1", 0))
        return int(candidate.getsockname()[1])


@dataclass
class System:
    """Web server, worker and simulator on a database; a `with` block ends them."""

    database: str
    port: int
    simulator: SimulatorProcess
    environment: dict[str, str]
    logs: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def site(self) -> str:
        """The site's address, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, name: str) -> None:
        """Start the `web` server or the `worker`; `worker-2` is one more."""
        self.processes[name] = self._run(_COMMANDS[name.partition("-")[0]](self.port))

    def kill(self, name: str) -> None:
        """End a process as a crash would, with all that it started."""
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=20)

    def manage(self, *arguments: str) -> str:
        """Run a command of the project to its end; return what it printed."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=_ROOT,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout

    def printed(self) -> str:
        """Return everything that web server and worker have printed."""
        self.logs.seek(0)
        return self.logs.read().decode(errors="replace")

    def _run(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            cwd=_ROOT,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=self.logs,
            stderr=subprocess.STDOUT,
            process_group=0,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self.processes):
            self.kill(name)
        self.simulator.kill()
        self.logs.close()


def _web(port: int) -> list[str]:
    command = [sys.executable, "-m", "granian", "credits_project.wsgi:application"]
    command += ["--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--blocking-threads", "1", "--no-ws"]
    return [*command, "--log-level", "warning"]


def _worker(_: int) -> list[str]:
    return [sys.executable, "manage.py", "procrastinate", "worker"]


_COMMANDS = {"web": _web, "worker": _worker}


def start_system(database: str, **environment: str) -> System:
    """Start everything on the database and return it when the site answers."""
    port = free_port()
    simulator = start_simulator(f"http://127.0.0.1:{port}/api/v1/webhooks/paychangu")
    system = System(
        database=database,
        port=port,
        simulator=simulator,
        environment={
            "DATABASE_URL": database_url(database),
            "SITE_URL": f"http://127.0.0.1:{port}",
            "PAYCHANGU_BASE_URL": simulator.base_url,
            "PAYCHANGU_SECRET_KEY": simulator.secret_key,
            "PAYCHANGU_WEBHOOK_SECRET": simulator.webhook_secret,
            "PAYOUT_COOLING_OFF_HOURS": "0",
            "DJANGO_SETTINGS_MODULE": "credits_project.settings",
            **environment,
        },
    )
    system.start("web")
    system.start("worker")
    until(lambda: answers(system), seconds=60)
    return system


def answers(system: System) -> bool:
    """Return whether the site serves requests; it must not have ended."""
    assert system.processes["web"].poll() is None, system.printed()
    try:
        return requests.get(f"{system.site}/readyz", timeout=5).status_code == 200
    except (requests.ConnectionError, requests.Timeout):
        return False


class Client:
    """A person's app: signs up, keeps its token, speaks JSON."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._token = ""

    def sign_up(self, email: str, password: str) -> None:
        """Make an account and keep its access token."""
        self._sign("signup", email, password)

    def sign_in(self, email: str, password: str) -> None:
        """Sign in and keep the access token."""
        self._sign("login", email, password)

    def get(self, path: str, *, status: int = 200) -> Any:
        """Return the document at `path` of the API."""
        return self._ask("GET", path, status=status)

    def post(
        self, path: str, body: Any = None, *, status: int = 201, key: str | None = None
    ) -> Any:
        """Post a document to `path` of the API; return the answer's."""
        headers = {} if key is None else {"Idempotency-Key": key}
        return self._ask("POST", path, body or {}, status=status, headers=headers)

    def balance(self) -> str:
        """Return the caller's balance."""
        return str(self.get("/wallet")["balance"])

    def ask(
        self, method: str, path: str, body: Any, headers: dict[str, str] | None = None
    ) -> requests.Response:
        """Return the answer of the API, whatever it is."""
        return requests.request(
            method,
            f"{self._site}/api/v1{path}",
            json=body,
            headers={"Authorization": f"Bearer {self._token}", **(headers or {})},
            timeout=30,
        )

    def _ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        status: int,
        headers: dict[str, str] | None = None,
    ) -> Any:
        answer = self.ask(method, path, body, headers)
        assert answer.status_code == status, (answer.status_code, answer.text)
        return answer.json() if answer.content else None

    def _sign(self, how: str, email: str, password: str) -> None:
        answer = requests.post(
            f"{self._site}/_allauth/app/v1/auth/{how}",
            json={"email": email, "password": password},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        self._token = answer.json()["meta"]["access_token"]


class Console:
    """A member of staff at the console, by its forms."""

    def __init__(self, site: str, email: str, password: str) -> None:
        self._site = site
        self._session = requests.Session()
        page = self._session.get(f"{site}/accounts/login/", timeout=30)
        answer = self._session.post(
            f"{site}/accounts/login/?next=/admin/",
            data={**_token(page.text), "login": email, "password": password},
            headers={"Referer": f"{site}/accounts/login/"},
            timeout=30,
        )
        assert answer.ok, answer.text
        assert "/admin/" in answer.url, answer.url

    def page(self, path: str) -> str:
        """Return the page at `path` of the console."""
        answer = self._session.get(f"{self._site}/admin/{path}", timeout=30)
        assert answer.ok, (answer.status_code, path)
        return answer.text

    def act(self, path: str, action: str, *ids: object, **fields: str) -> str:
        """Do an action on rows of the list at `path`; return the page that follows."""
        answer = self._session.post(
            f"{self._site}/admin/{path}",
            data={
                **_token(self.page(path)),
                "action": action,
                "_selected_action": [str(pk) for pk in ids],
                **fields,
            },
            headers={"Referer": f"{self._site}/admin/{path}"},
            timeout=30,
        )
        assert answer.ok, (answer.status_code, answer.text[:500])
        return answer.text


def _token(page: str) -> dict[str, str]:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found, page[:500]
    return {"csrfmiddlewaretoken": unescape(found[1])}
