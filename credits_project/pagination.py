"""Cursor pages: `{next, previous, results}`, stable while rows are being added."""

from __future__ import annotations

import re
from typing import Any, NoReturn

from django.core.exceptions import ValidationError
from django.db import DataError
from django.db.models import QuerySet
from rest_framework import generics
from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.views import APIView

from credits_project.filters import (
    AllowedFilters,
    Filters,
    InvalidParameters,
    NoFilters,
)

PAGE_SIZE = 50
MAX_PAGE_SIZE = 200

_CURSOR = re.compile(r"[A-Za-z0-9+/]{1,400}={0,2}")


class CursorPages(CursorPagination):
    """Pages in the order of the view's `ordering`, newest first unless it says other.

    The first field of the ordering should be unique and must not change.
    """

    ordering = "-id"
    page_size = PAGE_SIZE
    max_page_size = MAX_PAGE_SIZE
    page_size_query_param = "limit"
    page_size_query_description = f"Rows per page, 1 to {MAX_PAGE_SIZE}."
    cursor_query_description = "Taken from `next` or `previous` of an earlier page."

    def get_ordering(
        self, request: Request, queryset: QuerySet[Any], view: APIView | None
    ) -> tuple[str, ...]:
        """Return the view's ordering."""
        ordering = getattr(view, "ordering", None) or self.ordering
        return (ordering,) if isinstance(ordering, str) else tuple(ordering)

    def paginate_queryset(
        self, queryset: Any, request: Request, view: APIView | None = None
    ) -> list[Any] | None:
        """Return the rows of the page that was asked for.

        Raises:
            InvalidParameters: the limit or the cursor is none of ours.
        """
        try:
            return super().paginate_queryset(queryset, request, view)
        except (ValueError, TypeError, ValidationError, DataError) as error:
            # The cursor is the client's to change; its position may be of any type.
            if self.cursor_query_param not in request.query_params:
                raise
            raise _invalid_cursor() from error

    def get_page_size(self, request: Request) -> int:
        """Return how many rows were asked for."""
        sent = request.query_params.getlist("limit")
        if not sent:
            return PAGE_SIZE
        text = sent[0]
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0
        if len(sent) > 1 or not 1 <= number <= MAX_PAGE_SIZE:
            raise InvalidParameters.of(
                "limit", f"The limit is a whole number from 1 to {MAX_PAGE_SIZE}."
            )
        return number

    def decode_cursor(self, request: Request) -> Cursor | None:
        """Return where the page begins; none for the first page."""
        sent = request.query_params.getlist(self.cursor_query_param)
        if not sent:
            return None
        # DRF's reading skips what is no base64, and takes nonsense for the first page.
        if len(sent) > 1 or not _CURSOR.fullmatch(sent[0]):
            _refuse_cursor()
        try:
            cursor: Cursor | None = super().decode_cursor(request)
        except NotFound:
            _refuse_cursor()
        if cursor == Cursor(offset=0, reverse=False, position=None):
            _refuse_cursor()
        return cursor

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return the schema of a page of `schema`."""
        link = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": link, "previous": link, "results": schema},
        }


class ListView(generics.ListAPIView[Any]):
    """A list: rows of `get_queryset`, narrowed by `filters`, in pages by `ordering`."""

    pagination_class = CursorPages
    filter_backends = [AllowedFilters]
    filters: type[Filters] = NoFilters
    ordering: str | tuple[str, ...] = "-id"


def _invalid_cursor() -> InvalidParameters:
    return InvalidParameters.of(
        "cursor", "The cursor is not one that an earlier page named."
    )


def _refuse_cursor() -> NoReturn:
    raise _invalid_cursor()
