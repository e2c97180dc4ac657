from __future__ import annotations

from django.apps import AppConfig


class CoursesConfig(AppConfig):
    name = "courses"

    def ready(self) -> None:
        from courses.proof import register_checks
        from courses.services import bulk_rules
        from wallets import guards
        from wallets.services import four_eyes

        register_checks()
        guards.register(self)
        four_eyes.register(bulk_rules.given_alone)
