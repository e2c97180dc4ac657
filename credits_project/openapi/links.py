"""Where an answer leads to: the operations that take the id of what it shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_BASE = "/api/v1/"


def add(document: dict[str, Any]) -> None:
    """Link what shows one thing with an id to the operations on it."""
    operations = dict(_operations(document))
    for path, method, operation in operations.values():
        collection = _collection_shown_by(path, method)
        for status, response in operation["responses"].items():
            if collection and status.startswith("2"):
                links = {
                    target["operationId"]: _link(target_path, target)
                    for target_path, _, target in operations.values()
                    if target_path.startswith(f"{_BASE}{collection}/{{")
                    and target is not operation
                }
                if links:
                    response["links"] = links


def _operations(
    document: dict[str, Any],
) -> Iterator[tuple[str, tuple[str, str, dict[str, Any]]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield operation["operationId"], (path, method, operation)


def _collection_shown_by(path: str, method: str) -> str:
    """Return the collection whose member an operation answers with; empty if none."""
    if method != "post":
        return ""
    if path.endswith("/enroll"):
        return "enrollments"
    if path.startswith(f"{_BASE}rpc") or "{" in path:
        return ""
    return path.removeprefix(_BASE)


def _link(path: str, operation: dict[str, Any]) -> dict[str, Any]:
    parameter = path.partition("{")[2].partition("}")[0]
    return {
        "operationId": operation["operationId"],
        "parameters": {parameter: "$response.body#/id"},
        "description": "With the `id` of what was made.",
    }
