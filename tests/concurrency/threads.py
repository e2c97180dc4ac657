"""Runs things at the same moment, each on a connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from django.db import connection


def in_threads(work: Callable[[Any], Any], arguments: Iterable[Any]) -> list[Any]:
    """Call `work` with each argument, all at once; return results and exceptions.

    The threads start from a barrier, so that none has ended before the last began.
    """
    arguments = list(arguments)
    together = threading.Barrier(len(arguments), timeout=30)
    outcomes: list[Any] = [None] * len(arguments)

    def run(index: int, argument: Any) -> None:
        try:
            # Opened before the start: connecting takes longer than the work.
            connection.ensure_connection()
            together.wait()
            outcomes[index] = work(argument)
        except Exception as error:
            outcomes[index] = error
        finally:
            connection.close()

    threads = [
        threading.Thread(target=run, args=(index, argument), daemon=True)
        for index, argument in enumerate(arguments)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    return outcomes


def kinds(outcomes: Iterable[Any]) -> dict[str, int]:
    """Count the outcomes by the names of their types."""
    counted: dict[str, int] = {}
    for outcome in outcomes:
        name = type(outcome).__name__
        counted[name] = counted.get(name, 0) + 1
    return counted
