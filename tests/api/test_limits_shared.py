"""All web processes count calls together, and none waits for another caller."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from django.db import connections

from credits_project.throttling import UserThrottle
from tests.journeys import people
from tests.system import System, free_port, start_system

pytestmark = pytest.mark.xdist_group("api")

LIMIT = 20


@pytest.fixture
def two_sites(committed: str) -> Any:
    """A system with a second web process on the same database. Gives both sites."""
    with start_system(committed, THROTTLE_USER=f"{LIMIT}/hour") as system:
        first = system.processes["web"]
        other = free_port()
        mine, system.port = system.port, other
        system.start("web")
        system.processes["other web"] = system.processes["web"]
        system.processes["web"], system.port = first, mine
        yield system, [system.site, f"http://127.0.0.1:{other}"]


def test_a_limit_holds_over_all_web_processes(two_sites: tuple[System, list[str]]):
    system, sites = two_sites
    client, _ = people.new_person(system, "caller")
    headers = {"Authorization": f"Bearer {client._token}"}
    until_answers(sites[1])

    def call(number: int) -> int:
        url = f"{sites[number % 2]}/api/v1/me"
        return requests.get(url, headers=headers, timeout=60).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(call, range(2 * LIMIT)))

    assert sorted(set(statuses)) == [200, 429]
    assert statuses.count(200) == LIMIT


def until_answers(site: str) -> None:
    from tests.simulator_process import until

    def answers() -> bool:
        try:
            return requests.get(f"{site}/readyz", timeout=5).ok
        except requests.ConnectionError:
            return False

    until(answers, seconds=60)


@pytest.mark.usefixtures("committed")
def test_a_caller_who_is_being_counted_stops_no_other():
    class Request:
        def __init__(self, pk: int) -> None:
            self.user = type("User", (), {"pk": pk, "is_authenticated": True})()

    def count(pk: int) -> bool:
        try:
            throttle = UserThrottle()
            throttle.rate = "100/min"
            request: Any = Request(pk)
            view: Any = None
            return throttle.allow_request(request, view)
        finally:
            connections["default"].close()

    count(1)
    with connections["default"].cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT 1 FROM call_limits WHERE key = 'user:1' FOR UPDATE")
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(count, 2).result(timeout=60)
        cursor.execute("ROLLBACK")
