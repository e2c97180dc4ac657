"""Query parameters: a list of what is allowed, and a refusal of everything else."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request
from rest_framework.views import APIView

from credits_project.exceptions import DomainError
from credits_project.fields import InputSerializer

PAGE_PARAMETERS = frozenset({"limit", "cursor"})


class InvalidParameters(DomainError):
    """A query parameter is unknown, or has a value that it cannot have."""

    code = "invalid-request"
    title = "The request does not have the expected form."
    status = 400

    def __init__(self, errors: dict[str, list[ErrorDetail]]) -> None:
        """Refuse parameters by name; the pointer of each is `?name`."""
        super().__init__(
            "The query has a parameter that is not known or not valid.",
            errors=[
                {"pointer": f"?{name}", "code": error.code, "detail": str(error)}
                for name, details in errors.items()
                for error in details
            ],
        )

    @classmethod
    def of(
        cls, name: str, detail: str, *, reason: str = "invalid"
    ) -> InvalidParameters:
        """Refuse the one parameter `name`."""
        return cls({name: [ErrorDetail(detail, code=reason)]})


class QueryParameters(InputSerializer):
    """The query parameters of an address, each a field of the serializer.

    A field whose name is a word of Python gets an underscore: `from_` reads `?from=`
    and stands in `validated_data` as `from`.
    """

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Return the fields under the names that clients use."""
        return {name.rstrip("_"): field for name, field in super().get_fields().items()}

    def _of_other_types(self, data: Any) -> dict[str, list[ErrorDetail]]:
        # All are texts here. DRF would take "yes", "on", "1" and more for true.
        return {
            name: [ErrorDetail("Must be true or false.", code="invalid")]
            for name, field in self.fields.items()
            if isinstance(field, serializers.BooleanField)
            and data.get(name) not in (None, "true", "false")
        }


class Filters(QueryParameters):
    """Query parameters that narrow a list down."""

    def narrow(self, queryset: QuerySet[Any], values: dict[str, Any]) -> QuerySet[Any]:
        """Return `queryset` with the filters that were given; by field name unless
        overridden."""
        return queryset.filter(**values)


class NoFilters(Filters):
    """For a list that has none."""


def read_parameters(
    request: Request,
    parameters: type[QueryParameters],
    *,
    beside: frozenset[str] = frozenset(),
    context: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the validated query parameters; `beside` names others that are read
    elsewhere.

    Raises:
        InvalidParameters: one is unknown, given twice, or has no such value.
    """
    given = {k: v for k, v in request.query_params.lists() if k not in beside}
    twice = [name for name, values in given.items() if len(values) > 1]
    if twice:
        raise InvalidParameters(
            {
                name: [ErrorDetail("This parameter stands twice.", code="repeated")]
                for name in twice
            }
        )
    form = parameters(
        data={name: values[0] for name, values in given.items()}, context=context or {}
    )
    if not form.is_valid():
        raise InvalidParameters(_flat(form.errors))
    return dict(form.validated_data)


class AllowedFilters(BaseFilterBackend):
    """Applies a list view's `filters`, a class of `Filters`, and allows no others."""

    def filter_queryset(
        self, request: Request, queryset: QuerySet[Any], view: APIView
    ) -> QuerySet[Any]:
        """Return the rows that the caller asked for."""
        filters: type[Filters] = getattr(view, "filters", NoFilters)
        values = read_parameters(request, filters, beside=PAGE_PARAMETERS)
        return filters().narrow(queryset, values)


def _flat(errors: Any) -> dict[str, list[ErrorDetail]]:
    return {
        name: details if isinstance(details, list) else [ErrorDetail(str(details))]
        for name, details in errors.items()
    }
