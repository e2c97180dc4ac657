"""What monitoring asks for: does the process live, can it work, how much is waiting."""

from __future__ import annotations

from functools import cache

from django.db import Error, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer that the process lives. Asks nothing of the database."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Answer 200 once the database is reachable and has all migrations, else 503."""
    try:
        applied = MigrationRecorder(connection).applied_migrations()
    except Error:
        return JsonResponse({"status": "database unreachable"}, status=503)
    missing = _migrations() - set(applied)
    if missing:
        return JsonResponse({"status": "migrations missing"}, status=503)
    return JsonResponse({"status": "ok"})


@cache
def _migrations() -> frozenset[tuple[str, str]]:
    # Of this process's own code, which does not change while it runs.
    loader = MigrationLoader(None)
    return frozenset(key for key in loader.disk_migrations or {})
