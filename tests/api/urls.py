"""The API's operations, as the URL configuration has them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver

from credits_project.urls import api

METHODS = ("get", "post", "put", "patch", "delete")
# Plain functions say in their code which methods they take.
_PLAIN = {"paychangu_webhook": ("post",)}


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of one address."""

    method: str
    path: str
    view: Any

    @property
    def name(self) -> str:
        """Method and path, as the document's readers name it."""
        return f"{self.method.upper()} {self.path}"


def operations() -> list[Operation]:
    """Return every operation below /api/v1, in the order of the configuration."""
    return [
        Operation(method=method, path=path, view=view)
        for path, view in _addresses(api, "/api/v1/")
        for method in _methods_of(view)
    ]


def _addresses(
    patterns: list[URLPattern | URLResolver], prefix: str
) -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _addresses(pattern.url_patterns, route)
        elif not route.endswith("/"):
            # The webhook's other form is for gateways that insist on a slash.
            yield re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route), pattern.callback


def _methods_of(view: Any) -> tuple[str, ...]:
    view_class = getattr(view, "view_class", None) or getattr(view, "cls", None)
    if view_class is None:
        return _PLAIN[view.__name__]
    return tuple(method for method in METHODS if hasattr(view_class, method))
