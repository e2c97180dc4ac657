"""The command line, shared by `python -m` and the management command."""

from __future__ import annotations

import argparse
import http.client
import json
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
from urllib.parse import urlsplit

from payments.simulator.engine import Options
from payments.simulator.faults import Fault, read_fault
from payments.simulator.server import Server
from payments.simulator.wire import Refused

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
    _add_faults(add)


def _add_faults(add: Callable[..., Any]) -> None:
    add(
        "--fault",
        dest="faults",
        action="append",
        type=_fault,
        metavar="ENDPOINT:FAULT[:TIMES][,OPTION=VALUE…]",
        help="arm a fault, as webhook:lost:1 or verify:slow,seconds=3; repeatable",
    )
    add(
        "--at",
        metavar="URL",
        help="start nothing: arm the faults at the simulator that runs there",
    )
    add("--clear-faults", action="store_true", help="with --at: disarm all there first")
    add(
        "--stop-on-eof",
        action="store_true",
        help="end when standard input does, so as not to outlive the starter",
    )


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _fault(text: str) -> Fault:
    try:
        return read_fault(text)
    except Refused as refusal:
        raise argparse.ArgumentTypeError(str(refusal)) from refusal


def run(arguments: dict[str, Any], *, write: Callable[[str], Any]) -> None:
    """Serve until SIGTERM, SIGINT or, if asked for, the end of standard input.

    With `at` nothing is served: the faults are armed at a simulator that runs there.

    Raises:
        OSError: the port is taken, the state cannot be opened, or nobody is there.
    """
    faults: list[Fault] = arguments.get("faults") or []
    if arguments.get("at"):
        _arm_at(arguments["at"], faults, clear=arguments["clear_faults"], write=write)
        return
    names = {field.name for field in fields(Options)}
    given = {name: value for name, value in arguments.items() if name in names}
    try:
        server = Server(Options(**given))
    except (OverflowError, sqlite3.Error) as error:
        raise OSError(error) from error
    for fault in faults:
        server.engine.faults.arm(fault)
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    if arguments.get("stop_on_eof"):
        threading.Thread(target=_wait_for_eof, args=(over,), daemon=True).start()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    write(f"PayChangu simulator listening on {server.engine.public_url}")
    over.wait()
    server.stop()


def complaint(arguments: dict[str, Any], error: OSError) -> str:
    """Return one line for people about why `run` has failed."""
    what = "does not answer" if arguments.get("at") else "cannot start"
    return f"The simulator {what}: {error}"


def _arm_at(
    url: str, faults: list[Fault], *, clear: bool, write: Callable[[str], Any]
) -> None:
    """Arm faults at a running simulator, and say which are armed then."""
    address = f"{url.rstrip('/')}/_control/faults"
    if clear:
        _ask(address, "DELETE")
    for fault in faults:
        shape = {"endpoint": fault.endpoint, "fault": fault.name, "times": fault.times}
        _ask(address, "POST", {**shape, **fault.options})
    armed = json.loads(_ask(address, "GET"))["armed"]
    for each in armed:
        times = "until cleared" if each["times"] is None else f"× {each['times']}"
        write(f"armed: {each['name']} on {each['endpoint']}, {times}")
    if not armed:
        write("no fault is armed")


def _ask(address: str, method: str, document: Any = None) -> bytes:
    parts = urlsplit(address)
    if parts.scheme != "http" or not parts.hostname:
        raise OSError(f"{address} is not the address of a simulator")
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    try:
        body = None if document is None else json.dumps(document)
        headers = {"Content-Type": "application/json"}
        connection.request(method, parts.path, body, headers)
        answer = connection.getresponse()
        text = answer.read()
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(error) from error
    finally:
        connection.close()
    if answer.status >= 300:
        raise OSError(f"{address} answered {answer.status}: {text[:200]!r}")
    return text


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

    arguments = vars(parser.parse_args())
    try:
        run(arguments, write=write)
    except OSError as error:
        parser.exit(1, f"{complaint(arguments, error)}\n")
