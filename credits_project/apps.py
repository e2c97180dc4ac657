from __future__ import annotations

from django.apps import AppConfig


class CreditsProjectConfig(AppConfig):
    name = "credits_project"
    verbose_name = "Course Credits"
