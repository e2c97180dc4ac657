"""Keeps a handful of programs running until it is told to stop.

One thread and one loop: it passes on what the programs print, starts again what has
died, and ends all of them in order. Each program is the head of a process group, so
that what it started itself goes with it.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

from credits_project.tether import signal_at_parents_death

# How long the loop may sleep: the delay with which a death or Ctrl-C is noticed.
TICK_SECONDS = 0.2
# The pause before a program is started again doubles from the first to the last, and
# falls back once the program has stayed up for a while.
FIRST_PAUSE_SECONDS = 0.5
LAST_PAUSE_SECONDS = 15.0
STEADY_SECONDS = 30.0
# How long a program may take to end what it is doing.
STOP_SECONDS = 10.0
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LINE_MAX_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """What to run, under which name, with what added to the environment."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    # What it is sent when the supervisor itself is killed.
    orphan_signal: signal.Signals = signal.SIGTERM


def write_line(line: str) -> None:
    """Print a line for the person at the terminal."""
    try:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # In `make run | tee log` Ctrl-C ends tee as well. What is left to do is to stop
        # in order, not to fail for want of a listener.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Supervisor:
    """Runs programs and starts them again when they die.

    Args:
        programs: started in this order, stopped in the opposite one.
        before_start: called before a program is started and on every turn of the loop;
            makes sure that what all of them need is there. An exception of the type
            `retry_on` is shown, and the call repeated later.
        write: takes one line to show.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        before_start: Callable[[], None] = lambda: None,
        retry_on: type[Exception] = OSError,
        write: Callable[[str], None] = write_line,
    ) -> None:
        self._selector = selectors.DefaultSelector()
        self._children = [
            _Child(program, self._selector, write) for program in programs
        ]
        self._ensure_needs = before_start
        self._retry_on = retry_on
        self._write = write
        self._needs_pause = _Pause()
        self._is_stopping = False

    @property
    def is_stopping(self) -> bool:
        """Whether a signal, or `request_stop`, has asked for the end."""
        return self._is_stopping

    def request_stop(self) -> None:
        """Have `run` return after the turn of the loop that it is in."""
        self._is_stopping = True

    @contextlib.contextmanager
    def stopping_on_signals(self) -> Iterator[None]:
        """Take Ctrl-C, SIGTERM and a closed terminal as the wish to stop."""
        before = {
            number: signal.signal(number, lambda *_: self.request_stop())
            for number in _STOP_SIGNALS
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def run(self, *, each_turn: Callable[[], None] = lambda: None) -> None:
        """Run the programs until asked to stop; then end them all.

        Args:
            each_turn: called several times a second, in between.
        """
        try:
            while not self._is_stopping:
                if self._needs_are_there():
                    for child in self._children:
                        child.keep_running()
                each_turn()
                self._pass_output_on(TICK_SECONDS)
        finally:
            self._stop_all()

    def _needs_are_there(self) -> bool:
        if not self._needs_pause.is_over():
            return False
        try:
            self._ensure_needs()
        except self._retry_on as error:
            seconds = self._needs_pause.begin(steady=False)
            self._write(f"{error} Trying again in {seconds:.1f} s.")
            return False
        self._needs_pause = _Pause()
        return True

    def _pass_output_on(self, timeout: float) -> None:
        if not self._selector.get_map():
            time.sleep(timeout)
            return
        for key, _ in self._selector.select(timeout):
            key.data.pass_output_on()

    def _stop_all(self) -> None:
        for child in reversed(self._children):
            child.signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while any(child.is_alive() for child in self._children):
            if time.monotonic() > deadline:
                break
            self._pass_output_on(0.05)
        for child in self._children:
            child.end()
        self._selector.close()


class _Pause:
    """The growing time to wait between attempts."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._until = 0.0

    def is_over(self) -> bool:
        return time.monotonic() >= self._until

    def begin(self, *, steady: bool) -> float:
        """Start to wait, and return for how many seconds."""
        longer = FIRST_PAUSE_SECONDS if steady else self._seconds * 2
        self._seconds = min(max(longer, FIRST_PAUSE_SECONDS), LAST_PAUSE_SECONDS)
        self._until = time.monotonic() + self._seconds
        return self._seconds


class _Child:
    """A program and, while it runs, its process."""

    def __init__(
        self,
        program: Program,
        selector: selectors.BaseSelector,
        write: Callable[[str], None],
    ) -> None:
        self._program = program
        self._selector = selector
        self._write = write
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self._rest = b""
        self._started_at = 0.0
        self._pause = _Pause()

    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def keep_running(self) -> None:
        """Start the program if it has never run, or died and its pause is over."""
        if self.is_alive():
            return
        if self._process is not None:
            self._bury(self._process)
        if self._process is None and self._pause.is_over():
            self._start()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program, which passes it on as it sees fit."""
        if self._process is not None and self.is_alive():
            self._process.send_signal(number)

    def end(self) -> None:
        """Kill what is left of the program and of what it started."""
        if self._process is not None:
            self._clear_away(self._process)

    def pass_output_on(self) -> None:
        """Show the whole lines that the program has printed, after its name."""
        if self._output is None:
            return
        data = os.read(self._output.fileno(), _LINE_MAX_BYTES)
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) >= _LINE_MAX_BYTES or not data:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            if text := line.decode(errors="replace").rstrip():
                self._write(f"{self._program.name:>9} | {text}")
        if not data:
            self._close_output()

    def _start(self) -> None:
        self._started_at = time.monotonic()
        self._process = subprocess.Popen(
            self._program.command,
            env={**os.environ, **self._program.environment, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # A group of its own: Ctrl-C in the terminal reaches the supervisor alone.
            process_group=0,
            preexec_fn=signal_at_parents_death(self._program.orphan_signal),
        )
        self._output = self._process.stdout
        assert self._output is not None
        self._selector.register(self._output, selectors.EVENT_READ, self)

    def _bury(self, process: subprocess.Popen[bytes]) -> None:
        code = process.returncode
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        self._clear_away(process)
        seconds = self._pause.begin(
            steady=time.monotonic() - self._started_at > STEADY_SECONDS
        )
        self._write(
            f"{self._program.name} {how}; starting it again in {seconds:.1f} s."
        )

    def _clear_away(self, process: subprocess.Popen[bytes]) -> None:
        # What it started may have outlived it, and would keep its port.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        while self._output is not None and _has_output(self._output):
            self.pass_output_on()
        self._close_output()
        self._process = None

    def _close_output(self) -> None:
        if self._output is not None:
            self._selector.unregister(self._output)
            self._output.close()
            self._output = None


def _has_output(output: IO[bytes]) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        return bool(selector.select(0))
