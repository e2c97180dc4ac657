"""The API's documentation, served from here: no CDN, no loosened security policy."""

from __future__ import annotations

import functools
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.response import Response


class OpenApiDocument(SpectacularJSONAPIView):
    """The document, computed once per process: the addresses do not change."""

    _documents: ClassVar[dict[str, Any]] = {}

    def _get_schema_response(self, request: Request) -> Response:
        if "document" not in self._documents:
            generated = super()._get_schema_response(request)  # type: ignore[no-untyped-call]
            self._documents["document"] = generated.data
        return Response(self._documents["document"])


class Documentation(SpectacularSwaggerSplitView):
    """Swagger UI, with its script in a file of its own as the security policy asks."""

    url_name = "schema"
    title = "Course Credits: the API"


@require_safe
def allauth_document(request: HttpRequest) -> HttpResponse:
    """Return the document of django-allauth's headless API, which signs people in."""
    return JsonResponse(_allauth_document())


@functools.cache
def _allauth_document() -> dict[str, Any]:
    # It asks for the addresses, which are not known yet where this module is loaded.
    from allauth.headless.spec.internal.schema import get_schema

    document: dict[str, Any] = get_schema()
    return document
