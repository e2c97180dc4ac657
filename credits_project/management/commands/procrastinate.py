from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError
from django.db import Error
from procrastinate.contrib.django.management.commands.procrastinate import (
    Command as ProcrastinatesCommand,
)

from credits_project import server_checks


class Command(ProcrastinatesCommand):
    """Procrastinate's own, whose worker refuses a server that would lose its work."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Look at the server before the worker starts."""
        if options.get("command") == "worker":
            try:
                server_checks.refuse_unsafe_server()
            except server_checks.UnsafeServer as error:
                raise CommandError(f"The worker does not start. {error}") from error
            except Error as error:
                reason = str(error).strip().splitlines()[0]
                raise CommandError(f"The worker does not start. {reason}") from error
        super().handle(*args, **options)
