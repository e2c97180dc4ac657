"""What a caller sends as X-Request-ID is what the problem says and the log bears."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from tests.simulator_process import until
from tests.system import System

pytestmark = pytest.mark.xdist_group("schemathesis")


def lines_about(system: System, request_id: str) -> list[dict[str, Any]]:
    lines = [line for line in system.printed().splitlines() if line.startswith("{")]
    events = [json.loads(line) for line in lines if request_id in line]
    return [event for event in events if event.get("request_id") == request_id]


@pytest.mark.parametrize(
    ("path", "status"),
    [("/api/v1/me", 401), ("/api/v1/nowhere", 404), ("/api/v1/openapi.json?", 406)],
)
def test_an_id_stands_in_the_answer_the_problem_and_the_log(
    system: System, path: str, status: int
):
    request_id = f"caller-{status}"

    answer = requests.get(
        f"{system.site}{path}",
        headers={"X-Request-ID": request_id, "Accept": "application/problem+json"},
        timeout=60,
    )

    assert answer.headers["X-Request-ID"] == request_id
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["request_id"] == request_id
    assert until(lambda: lines_about(system, request_id), seconds=30)


def test_two_requests_without_an_id_get_ids_of_their_own(system: System):
    ids = {
        requests.get(f"{system.site}/api/v1/me", timeout=60).headers["X-Request-ID"]
        for _ in range(2)
    }

    assert len(ids) == 2
