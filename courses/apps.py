from __future__ import annotations

from django.apps import AppConfig


class CoursesConfig(AppConfig):
    name = "courses"

    def ready(self) -> None:
        from courses.proof import register_checks
        from wallets import guards

        register_checks()
        guards.register(self)
