"""`make bench`: tables of ratios, each against a limit measured in the same run.

Rounds are interleaved and medians quoted, as machines are noisy. A figure counts only
if afterwards nothing is wrong with the books it was made in.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks import (
    books,
    database,
    guards,
    ours,
    report,
    scale,
    shares,
    speeds,
)
from tests.benchmarks import webhooks as webhook
from tests.benchmarks.workers import OURS, PEERS, Stable

_ROOT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str]) -> int:
    """Measure, print and write everything; return 1 where any books are wrong."""
    options = _options(arguments)
    if options.markdown:
        _say(report.as_markdown(json.loads(options.file.read_text())))
        return 0
    started = time.monotonic()
    with database.server():
        import django

        django.setup()
        results: dict[str, Any] = {"machine": _machine(options)}
        broken = _measure(options, results)
    results["broken"] = broken
    for table in report.tables(results):
        _say(report.as_text(table))
    options.file.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    _say(f"\nWritten to {options.file} after {time.monotonic() - started:.0f} s.")
    _say("\n".join(broken) or "No drift, no break and no error in any of the books.")
    return 1 if broken else 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--only", nargs="+", choices=report.PARTS, default=report.PARTS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3, help="of each round")
    parser.add_argument(
        "--transactions", type=int, default=5_000_000, help="of the large ledger"
    )
    parser.add_argument("--file", type=Path, default=_ROOT / "bench.json")
    parser.add_argument(
        "--markdown", action="store_true", help="print the file's figures, measure none"
    )
    return parser.parse_args(arguments)


def _machine(options: argparse.Namespace) -> dict[str, Any]:
    ((version,),) = database.run("postgres", "SHOW server_version")
    load = os.getloadavg()[0]
    if load > 0.5:
        _say(f"Others are at work here (load {load:.1f}): the figures will be lower.")
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "postgresql": version,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "load": load,
    }


def _measure(options: argparse.Namespace, results: dict[str, Any]) -> list[str]:
    """Fill in the results of the parts that are wanted; return what is broken."""
    broken: list[str] = []
    if {"speeds", "shares", "guards"} & set(options.only):
        speeds.set_up()
        with Stable(OURS) as our, Stable(PEERS) as peers:
            _measure_contestants(options, results, our, peers)
            broken += books.breaks(our, peers)
    if "scale" in options.only:
        results["scale"], wrong = scale.measure(options.transactions, _say)
        broken += wrong
    if "webhooks" in options.only:
        results["webhooks"] = webhook.measure(
            rounds=min(options.rounds, 3), seconds=options.seconds
        )
    return broken


def _measure_contestants(
    options: argparse.Namespace, results: dict[str, Any], our: Stable, peers: Stable
) -> None:
    rounds, seconds, only = options.rounds, options.seconds, options.only
    template = "ledger_fresh"
    database.create(template, template=ours.LEDGER)
    if "speeds" in only:
        results["speeds"] = speeds.measure(
            our, peers, rounds=rounds, seconds=seconds, say=_say
        )
    if "shares" in only:
        unguarded = guards.unguarded(template)
        results["shares"] = shares.measure(
            our,
            peers,
            rounds=rounds,
            seconds=seconds / 2,
            unguarded=unguarded,
            say=_say,
        )
    if "guards" in only:
        # The differences are small: many short turns find them better than few long.
        results["guards"] = guards.prices(
            our, template=template, rounds=3 * rounds, seconds=seconds / 6, say=_say
        )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
