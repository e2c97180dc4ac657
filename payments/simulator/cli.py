"""The command line, shared by `python -m` and the management command."""

from __future__ import annotations

import argparse
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from payments.simulator.engine import Options
from payments.simulator.server import Server

_DEFAULTS = Options()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the simulator's options to a parser."""
    add: Callable[..., Any] = parser.add_argument
    texts = {
        "host": "address to listen on",
        "public_url": "address as browsers see it, when behind something",
        "webhook_url": "where events are sent",
        "secret_key": "API key that requests must carry",
        "webhook_secret": "key that signs events",
    }
    for name, text in texts.items():
        default = getattr(_DEFAULTS, name)
        add(_flag(name), default=default, help=f"{text} (default: {default or '–'})")
    add("--port", type=int, default=_DEFAULTS.port, help="0 takes a free one")
    add("--sign-with", choices=("webhook", "api"), default=_DEFAULTS.sign_with)
    add("--mode", choices=("test", "live"), default=_DEFAULTS.mode)
    add("--state", type=Path, help="file that keeps everything over a restart")
    add("--balance", type=Decimal, default=_DEFAULTS.balance, help="kwacha at first")
    seconds = {
        "settle_seconds": "until a payout succeeds or fails",
        "retry_seconds": "between deliveries of an event (the real one: 1800)",
        "webhook_timeout_seconds": "to wait for the answer to an event",
        "session_seconds": "that a checkout page stays open",
    }
    for name, text in seconds.items():
        default = getattr(_DEFAULTS, name)
        add(_flag(name), type=float, default=default, help=f"{text} ({default})")
    add(
        "--stop-on-eof",
        action="store_true",
        help="end when standard input does, so as not to outlive the starter",
    )


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def run(arguments: dict[str, Any], *, write: Callable[[str], Any]) -> None:
    """Serve until SIGTERM, SIGINT or, if asked for, the end of standard input.

    Raises:
        OSError: the port is taken or the state cannot be opened.
    """
    names = {field.name for field in fields(Options)}
    given = {name: value for name, value in arguments.items() if name in names}
    try:
        server = Server(Options(**given))
    except (OverflowError, sqlite3.Error) as error:
        raise OSError(error) from error
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    if arguments.get("stop_on_eof"):
        threading.Thread(target=_wait_for_eof, args=(over,), daemon=True).start()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    write(f"PayChangu simulator listening on {server.engine.public_url}")
    over.wait()
    server.stop()


def _wait_for_eof(over: threading.Event) -> None:
    # Not through sys.stdin, whose lock would be held when the process ends, and make
    # Python abort.
    while os.read(0, 1024):
        pass
    over.set()


def main() -> None:
    """Run the simulator from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m payments.simulator",
        description="Run a stand-in for PayChangu: pages, API, webhooks, payouts.",
    )
    add_arguments(parser)

    def write(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    try:
        run(vars(parser.parse_args()), write=write)
    except OSError as error:
        parser.exit(1, f"The simulator cannot start: {error}\n")
