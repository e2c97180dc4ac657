"""Connections of Django's to the database, made in another way for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from django.db import connection


@contextlib.contextmanager
def connected_with(*, name: str = "", **options: Any) -> Iterator[None]:
    """Connect with other options, or to another database, until the block ends."""
    settings = connection.settings_dict
    given = {"NAME": settings["NAME"], "OPTIONS": settings["OPTIONS"]}
    if "options" in options:
        options["options"] = f"{given['OPTIONS']['options']} {options['options']}"
    connection.close()
    settings.update(NAME=name or given["NAME"], OPTIONS=given["OPTIONS"] | options)
    try:
        yield
    finally:
        connection.close()
        settings.update(given)
