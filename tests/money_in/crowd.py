"""Those who ask while something else goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


@contextmanager
def asking(*works: Callable[[], object]) -> Iterator[None]:
    """Do each of `works` again and again, in a thread of its own, until the block ends.

    Each is done at least once; what one of them raises is raised at the end.
    """
    over = threading.Event()

    def keep_on(work: Callable[[], object]) -> None:
        work()
        while not over.is_set():
            work()

    with ThreadPoolExecutor(len(works)) as crowd:
        running = [crowd.submit(keep_on, work) for work in works]
        try:
            yield
        finally:
            over.set()
        for one in running:
            one.result(timeout=120)
