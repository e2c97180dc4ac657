from __future__ import annotations

import pytest
from drf_spectacular.generators import SchemaGenerator


@pytest.fixture(scope="module")
def paths():
    return SchemaGenerator().get_schema(request=None, public=True)["paths"]


def test_the_document_names_every_address_and_method(paths):
    found = {
        (path.removeprefix("/api/v1"), method)
        for path, item in paths.items()
        for method in item
        if path.startswith(("/api/v1/courses", "/api/v1/e"))
    }

    assert found == {
        ("/courses", "get"),
        ("/courses", "post"),
        ("/courses/{course_id}", "get"),
        ("/courses/{course_id}", "patch"),
        ("/courses/{course_id}/quote", "get"),
        ("/courses/{course_id}/enroll", "post"),
        ("/earnings/statement", "get"),
        ("/enrollments", "get"),
        ("/enrollments/{enrollment_id}", "get"),
        ("/enrollments/{enrollment_id}/refund", "post"),
    }


def test_the_document_says_what_visitors_may_read(paths):
    def is_open(path, method):
        return {} in paths[f"/api/v1{path}"][method]["security"]

    assert is_open("/courses", "get")
    assert is_open("/courses/{course_id}", "get")
    assert not is_open("/courses", "post")
    assert not is_open("/courses/{course_id}", "patch")
    assert not is_open("/enrollments", "get")


@pytest.mark.parametrize(
    ("path", "method", "names"),
    [
        ("/courses", "get", {"mine", "cursor", "limit"}),
        ("/enrollments", "get", {"role", "cursor", "limit"}),
        ("/earnings/statement", "get", {"month", "format"}),
        ("/courses/{course_id}/enroll", "post", {"course_id", "Idempotency-Key"}),
        (
            "/enrollments/{enrollment_id}/refund",
            "post",
            {"enrollment_id", "Idempotency-Key"},
        ),
    ],
)
def test_the_document_names_every_parameter(paths, path, method, names):
    parameters = paths[f"/api/v1{path}"][method]["parameters"]

    assert {parameter["name"] for parameter in parameters} == names
