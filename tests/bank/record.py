"""What the clients of a bank test did and saw, by their own account.

Each client keeps a file of its own: a line before each request and one after each
answer, and no line is left to a buffer that dies with the machine. The times are those
of one clock that all processes share, in nanoseconds.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

Outcome = Literal["done", "refused", "unknown"]
TIMED_OUT = "timed out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back on a request, or that nothing did."""

    outcome: Outcome
    # The status or the slug of the refusal, or the kind of failure.
    status: str
    transfer: str = ""
    # The number of the payer's and of the payee's transaction.
    sequences: tuple[int, ...] = ()
    at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A transfer that a client wants once, however often it has to ask for it."""

    # Goes with every request as its key, and into the ledger as the description.
    name: str
    payer: str
    payee: str
    amount: Decimal
    asked_at: int = 0
    answers: list[Answer] = field(default_factory=list)

    @property
    def done(self) -> Answer | None:
        """The first acknowledgment."""
        return next((a for a in self.answers if a.outcome == "done"), None)

    @property
    def outcome(self) -> Outcome:
        """What the client may rely on."""
        if self.done is not None:
            return "done"
        return self.answers[-1].outcome if self.answers else "unknown"

    @property
    def may_still_arrive(self) -> bool:
        """Whether a request was given up while it may have been on its way."""
        return any(answer.status == TIMED_OUT for answer in self.answers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """The whole ledger as one snapshot showed it: two ways to the same figures."""

    began: int
    ended: int
    # (balance, number of transactions) of each wallet, by the wallets …
    wallets: dict[str, tuple[Decimal, int]]
    # … and added up from the transactions.
    sums: dict[str, tuple[Decimal, int]]


class Record:
    """The file that one client writes."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a")

    def ask(self, order: Order) -> None:
        """Write down what is going to be asked for."""
        self._write(
            what="ask",
            name=order.name,
            payer=order.payer,
            payee=order.payee,
            amount=str(order.amount),
        )

    def answer(self, order: Order, answer: Answer) -> None:
        """Write down what came back."""
        self._write(
            what="answer",
            name=order.name,
            outcome=answer.outcome,
            status=answer.status,
            transfer=answer.transfer,
            sequences=answer.sequences,
        )

    def read(self, read: Read) -> None:
        """Write down what a snapshot showed."""
        self._write(
            what="read",
            began=read.began,
            ended=read.ended,
            wallets=_plain(read.wallets),
            sums=_plain(read.sums),
        )

    def _write(self, **line: Any) -> None:
        self._file.write(json.dumps({"at": time.monotonic_ns(), **line}) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


@dataclass(slots=True)
class History:
    """Everything that the clients of one run have written down."""

    orders: dict[str, Order] = field(default_factory=dict)
    reads: list[Read] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path) -> History:
        """Read the records in a folder."""
        history = cls()
        for path in sorted(folder.glob("*.record")):
            for line in path.read_text().splitlines():
                history._add(json.loads(line))
        return history

    def counts(self) -> Counter[str]:
        """Count orders by outcome, reads, and the answers that told nothing."""
        counts = Counter(order.outcome for order in self.orders.values())
        counted: Counter[str] = Counter({str(name): n for name, n in counts.items()})
        counted["reads"] = len(self.reads)
        counted.update(
            f"no answer: {answer.status}"
            for order in self.orders.values()
            for answer in order.answers
            if answer.outcome == "unknown"
        )
        return counted

    def statuses(self) -> set[str]:
        """Return every status that an answer had."""
        return {a.status for order in self.orders.values() for a in order.answers}

    def _add(self, line: dict[str, Any]) -> None:
        match line["what"]:
            case "ask":
                # A repeat leaves the first as it is.
                order = Order(
                    name=line["name"],
                    payer=line["payer"],
                    payee=line["payee"],
                    amount=Decimal(line["amount"]),
                    asked_at=line["at"],
                )
                self.orders.setdefault(order.name, order)
            case "answer":
                answer = Answer(
                    outcome=line["outcome"],
                    status=line["status"],
                    transfer=line["transfer"],
                    sequences=tuple(line["sequences"]),
                    at=line["at"],
                )
                self.orders[line["name"]].answers.append(answer)
            case "read":
                read = Read(
                    began=line["began"],
                    ended=line["ended"],
                    wallets=_exact(line["wallets"]),
                    sums=_exact(line["sums"]),
                )
                self.reads.append(read)


class Watch:
    """Follows the records while they are written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._offsets: dict[Path, int] = {}
        self._counted: Counter[str] = Counter()

    def answers(self, outcome: Outcome) -> int:
        """Return how many answers there have been with this outcome."""
        for line in self._new_lines():
            self._counted[json.loads(line).get("outcome", "")] += 1
        return self._counted[outcome]

    def _new_lines(self) -> Iterator[str]:
        for path in self._folder.glob("*.record"):
            with path.open() as file:
                file.seek(self._offsets.get(path, 0))
                text = file.read()
            # The rest of a line that is being written comes next time.
            whole = text[: text.rfind("\n") + 1]
            self._offsets[path] = self._offsets.get(path, 0) + len(whole)
            yield from whole.splitlines()


def _plain(figures: dict[str, tuple[Decimal, int]]) -> dict[str, tuple[str, int]]:
    return {name: (str(total), count) for name, (total, count) in figures.items()}


def _exact(figures: dict[str, Iterable[Any]]) -> dict[str, tuple[Decimal, int]]:
    return {name: (Decimal(total), count) for name, (total, count) in figures.items()}
