#!/usr/bin/env python
"""Runs a command of the project; starts the embedded database where it is needed."""

from __future__ import annotations

import os
import sys

# Commands that never talk to the database: none is started for them.
WITHOUT_DATABASE = {
    "check",
    "collectstatic",
    "compilemessages",
    "diffsettings",
    "findstatic",
    "help",
    "makemessages",
    "paychangu_simulator",
    "spectacular",
    "startapp",
    "startproject",
    "version",
}


def main() -> None:
    """Run the command that the arguments name."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "credits_project.settings")
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line

        from credits_project import demo_environment, embedded_postgres
    except ModuleNotFoundError as error:
        sys.exit(
            f"manage.py: {error.name} is not installed. `make run` or `make test` makes"
            " the environment; then use .venv/bin/python manage.py."
        )
    try:
        demo_environment.apply()
        if _needs_database(sys.argv) and not demo_environment.has_own_database():
            embedded_postgres.ensure_running()
        execute_from_command_line(sys.argv)
    except (ImproperlyConfigured, embedded_postgres.EmbeddedPostgresError) as error:
        sys.exit(f"manage.py: {error}")


def _needs_database(arguments: list[str]) -> bool:
    asks_for_help = {"--help", "-h", "--version"} & set(arguments)
    return (
        len(arguments) > 1 and arguments[1] not in WITHOUT_DATABASE
    ) and not asks_for_help


if __name__ == "__main__":
    main()
