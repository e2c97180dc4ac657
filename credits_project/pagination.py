"""Cursor pages: `{next, previous, results}`, stable while rows are being added."""

from __future__ import annotations

import re
from typing import Any, NoReturn

from django.core.exceptions import ValidationError
from django.db import DataError
from django.db.models import (
    BigIntegerField,
    Field,
    IntegerField,
    Model,
    QuerySet,
    SmallIntegerField,
    UUIDField,
)
from rest_framework import generics
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from credits_project.filters import (
    AllowedFilters,
    Filters,
    InvalidParameters,
    NoFilters,
)

PAGE_SIZE = 50
MAX_PAGE_SIZE = 200

# What a position looks like by the kind of the field that the rows are ordered by.
_POSITIONS: tuple[tuple[type[Field[Any, Any]], str], ...] = (
    (UUIDField, "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    (SmallIntegerField, "[0-9]{1,4}"),
    (BigIntegerField, "[0-9]{1,18}"),
    (IntegerField, "[0-9]{1,9}"),
)


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
    # Set where a page is asked for: what a cursor of the list looks like.
    _cursor = re.compile("")

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
        ordering = self.get_ordering(request, queryset, view)
        self._cursor = re.compile(cursor_pattern(queryset.model, ordering))
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
        match = self._cursor.fullmatch(sent[0]) if len(sent) == 1 else None
        if match is None:
            _refuse_cursor()
        position: Any = match["position"]
        return Cursor(
            offset=int(match["offset"]),
            reverse=bool(match["reverse"]),
            position=position,
        )

    def encode_cursor(self, cursor: Cursor) -> str:
        """Return the address of the page that the cursor names."""
        # Not base64 as DRF has it: in that, one cannot tell what is a cursor of ours.
        text = f"{'r' if cursor.reverse else ''}{cursor.offset}"
        if cursor.position is not None:
            text += f".{cursor.position}"
        assert self.base_url is not None, "the page was asked for at it"
        return replace_query_param(self.base_url, self.cursor_query_param, text)

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


def cursor_pattern(model: type[Model], ordering: tuple[str, ...]) -> str:
    """Return what cursors look like for rows of `model` in that order.

    Whatever looks like it is one: `r` for backwards, how many rows to skip, and the
    position after which the page begins.
    """
    field = model._meta.get_field(ordering[0].lstrip("-"))
    position = next(
        (pattern for kind, pattern in _POSITIONS if isinstance(field, kind)), ".{1,400}"
    )
    return f"^(?P<reverse>r?)(?P<offset>[0-9]{{1,4}})(\\.(?P<position>{position}))?$"


def _invalid_cursor() -> InvalidParameters:
    return InvalidParameters.of(
        "cursor", "The cursor is not one that an earlier page named."
    )


def _refuse_cursor() -> NoReturn:
    raise _invalid_cursor()
