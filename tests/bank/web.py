"""The web server as `make run` starts it, for tests that need several workers."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

import psutil
import requests

from tests.simulator_process import until
from tests.system import free_port

_ROOT = Path(__file__).resolve().parents[2]
_WORKERS = 2


@dataclass
class Web:
    """A web server with two workers on a database; a `with` block ends it."""

    database_url: str
    log: IO[bytes] = field(default_factory=tempfile.TemporaryFile)
    _port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def site(self) -> str:
        """The site's address, without a slash at its end."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it and return when it answers."""
        self._start()
        until(self._answers, seconds=60)

    def keep_running(self) -> None:
        """Start it again if it has ended, as a supervisor does; wait for nothing.

        It replaces a worker that dies; of one that dies twice in a few seconds it
        thinks that it always will, and ends.
        """
        if self._process is not None and self._process.poll() is not None:
            self.kill()
            self._start()

    def workers(self) -> list[psutil.Process]:
        """Return the processes that answer requests."""
        assert self._process is not None
        children = psutil.Process(self._process.pid).children()
        return [p for p in children if p.status() != psutil.STATUS_ZOMBIE]

    def kill(self) -> None:
        """End all of it as a crash would."""
        if self._process is not None:
            # What it started may have outlived it, and would keep the port.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(timeout=20)
            self._process = None

    def printed(self) -> str:
        """Return everything that it has printed."""
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def _start(self) -> None:
        command = [sys.executable, "-m", "granian", "credits_project.wsgi:application"]
        command += ["--interface", "wsgi", "--host", "127.0.0.1", "--no-ws"]
        command += ["--port", str(self._port), "--workers", str(_WORKERS)]
        command += ["--blocking-threads", "1", "--log-level", "warning"]
        command += ["--respawn-failed-workers", "--respawn-interval", "0.5"]
        self._process = subprocess.Popen(
            command,
            cwd=_ROOT,
            env={
                **os.environ,
                "DATABASE_URL": self.database_url,
                "SITE_URL": self.site,
                "DJANGO_SETTINGS_MODULE": "credits_project.settings",
            },
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            process_group=0,
        )

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.printed()
        try:
            return requests.get(f"{self.site}/readyz", timeout=5).status_code == 200
        except requests.ConnectionError:
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.log.close()
