from __future__ import annotations

from django.apps import AppConfig


class CreditsProjectConfig(AppConfig):
    name = "credits_project"
    verbose_name = "Course Credits"

    def ready(self) -> None:
        """Register the system checks."""
        from credits_project import checks, server_checks  # noqa: F401 - register by being imported
