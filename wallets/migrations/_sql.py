"""Reads the guards' SQL for the migrations."""

from __future__ import annotations

from pathlib import Path


def read(name: str) -> str:
    """Return the text of a file in `wallets/sql`."""
    return (Path(__file__).parent.parent / "sql" / name).read_text()
