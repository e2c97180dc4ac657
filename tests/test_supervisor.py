"""The supervisor: restarts what dies, stops everything, and `make run` around it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from credits_project.supervisor import Program, Supervisor

ROOT = Path(__file__).resolve().parent.parent
# Says its number and then waits for a signal.
SAY_AND_WAIT = "import os, signal; print('pid', os.getpid()); signal.pause()"


class Watcher:
    """Runs a supervisor, collects what it writes, and stops it on a condition."""

    def __init__(self, *programs: Program, **options: object) -> None:
        self.lines: list[str] = []
        self.supervisor = Supervisor(
            programs,
            write=self.lines.append,
            **options,  # type: ignore[arg-type]
        )

    def run(self, each_turn: Callable[[], bool]) -> None:
        """Run until `each_turn` returns true, and at most half a minute."""
        deadline = time.monotonic() + 30

        def turn() -> None:
            assert time.monotonic() < deadline, self.lines
            if each_turn():
                self.supervisor.request_stop()

        self.supervisor.run(each_turn=turn)

    def pids(self, name: str = "waiter") -> list[int]:
        """Return the numbers that the program has said so far, first ones first."""
        return [
            int(line.rsplit(" ", 1)[1])
            for line in self.lines
            if line.strip().startswith(f"{name} | pid")
        ]


def python(code: str, name: str = "waiter", **options: object) -> Program:
    return Program(name=name, command=[sys.executable, "-c", code], **options)  # type: ignore[arg-type]


def is_gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def all_go(pids: list[int]) -> bool:
    """Return whether all processes are gone, soon: the kernel takes a moment."""
    deadline = time.monotonic() + 10
    while not all(is_gone(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        os.sched_yield()
    return True


def test_output_is_passed_on_with_the_programs_name():
    watcher = Watcher(python("print('hello'); import signal; signal.pause()"))

    watcher.run(lambda: bool(watcher.lines))

    assert watcher.lines == ["   waiter | hello"]


def test_a_program_that_is_killed_is_started_again():
    watcher = Watcher(python(SAY_AND_WAIT))

    def kill_the_first() -> bool:
        if len(watcher.pids()) == 1 and not is_gone(watcher.pids()[0]):
            os.kill(watcher.pids()[0], signal.SIGKILL)
        return len(watcher.pids()) == 2

    watcher.run(kill_the_first)

    assert "waiter was killed by signal 9; starting it again in 0.5 s." in watcher.lines
    assert watcher.pids()[0] != watcher.pids()[1]


def test_a_program_that_keeps_failing_is_given_longer_and_longer_pauses():
    watcher = Watcher(python("raise SystemExit(3)"))

    def failures() -> list[str]:
        return [line for line in watcher.lines if "ended with code 3" in line]

    watcher.run(lambda: len(failures()) == 2)

    assert [line.rsplit("in ", 1)[1] for line in failures()] == ["0.5 s.", "1.0 s."]


def test_stopping_ends_every_program_and_what_it_started():
    child = (
        "import subprocess, sys, signal;"
        f"subprocess.Popen([sys.executable, '-c', {SAY_AND_WAIT!r}]); signal.pause()"
    )
    watcher = Watcher(python(child), python(SAY_AND_WAIT, name="other"))

    watcher.run(lambda: bool(watcher.pids() and watcher.pids("other")))

    assert len(watcher.pids()) == 1
    assert all_go(watcher.pids() + watcher.pids("other"))


def test_what_a_killed_program_had_started_is_gone_before_it_starts_again():
    child = (
        "import subprocess, sys, os, signal;"
        "print('pid', os.getpid(), flush=True);"
        f"subprocess.Popen([sys.executable, '-c', {SAY_AND_WAIT!r}]); signal.pause()"
    )
    watcher = Watcher(python(child))

    def kill_the_head() -> bool:
        pids = watcher.pids()
        if len(pids) == 2 and not is_gone(pids[0]):
            os.kill(pids[0], signal.SIGKILL)
        return len(pids) >= 3

    watcher.run(kill_the_head)

    assert all_go(watcher.pids()[1:2])


def test_programs_wait_until_what_they_need_is_there():
    class Missing(Exception):
        pass

    attempts = []

    def need() -> None:
        attempts.append(time.monotonic())
        if len(attempts) == 1:
            raise Missing("The database is away.")

    watcher = Watcher(python(SAY_AND_WAIT), before_start=need, retry_on=Missing)

    watcher.run(lambda: bool(watcher.pids()))

    assert watcher.lines[0] == "The database is away. Trying again in 0.5 s."
    assert attempts[1] - attempts[0] >= 0.5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_asks_for_the_end(number):
    watcher = Watcher(python(SAY_AND_WAIT))

    def interrupt() -> bool:
        if watcher.pids():
            signal.raise_signal(number)
        return False

    with watcher.supervisor.stopping_on_signals():
        watcher.run(interrupt)

    assert all_go(watcher.pids())


def test_programs_die_with_a_supervisor_that_is_killed():
    code = (
        "import sys; from credits_project.supervisor import *;"
        f"Supervisor([Program(name='p', command=[sys.executable, '-c', {SAY_AND_WAIT!r}"
        "])]).run()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as supervisor:
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline().rsplit(" ", 1)[1])

        supervisor.kill()

        assert all_go([pid])


def test_a_reader_that_has_gone_does_not_disturb_the_shutdown():
    code = (
        "import sys; from credits_project.supervisor import write_line;"
        "sys.stdin.read(); write_line('Stopping.'); write_line('Stopped.')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        assert writer.stderr is not None
        writer.stdout.close()

        writer.stdin.close()

        assert writer.stderr.read() == b""
        assert writer.wait() == 0
