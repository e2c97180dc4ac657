from __future__ import annotations

from typing import Any

from django.core.management.commands.migrate import Command as DjangosCommand
from django.db import connections

from credits_project import timeouts


class Command(DjangosCommand):
    """Django's own, which takes the time it needs: an index on a large table."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate without a request's time-outs, all but the one for locks."""
        with timeouts.lifted(connections[options["database"]]):
            super().handle(*args, **options)
