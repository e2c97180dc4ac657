"""Grants permissions to groups from within a migration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.contrib.auth.management import create_permissions


def grant(table: Mapping[str, Iterable[str]]) -> Callable[[Any, Any], None]:
    """Return the step that makes the groups of `table` and adds their permissions.

    Who is in a group stays in it, and what else staff have granted stays granted.
    """

    def step(apps: Any, schema_editor: Any) -> None:
        using = schema_editor.connection.alias
        _create_permissions(apps, using)
        groups = apps.get_model("auth", "Group").objects.using(using)
        permissions = apps.get_model("auth", "Permission").objects.using(using)
        for name, wanted in table.items():
            group, _ = groups.get_or_create(name=name)
            pairs = [permission.split(".") for permission in sorted(wanted)]
            group.permissions.add(
                *[
                    permissions.get(content_type__app_label=app, codename=codename)
                    for app, codename in pairs
                ]
            )

    return step


def _create_permissions(apps: Any, using: str) -> None:
    # Django makes them after the last migration of all, too late to grant them here.
    for app_config in apps.get_app_configs():
        # An app of a migration's state says that it has no models until told otherwise.
        app_config.models_module = True
        create_permissions(app_config, verbosity=0, using=using, apps=apps)
        app_config.models_module = None
