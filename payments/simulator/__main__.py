"""`python -m payments.simulator`."""

from __future__ import annotations

from payments.simulator.cli import main

main()
