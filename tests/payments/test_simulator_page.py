"""The simulator's page in a browser: faults are armed and disarmed by clicking."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.browser.conftest import chromium as chromium
from tests.payments.simulated import running as running
from tests.payments.simulated import simulator as simulator
from tests.simulator_process import SimulatorProcess

pytestmark = pytest.mark.browser


@pytest.fixture
def open_page(
    chromium: str, simulator: SimulatorProcess
) -> Iterator[Callable[[int], Any]]:
    """Returns what opens the page at a width; whatever it complains of fails the test.

    The browser is closed with the test: while one is open, Django refuses to work.
    """
    from playwright.sync_api import sync_playwright

    complaints: list[str] = []

    def note(message: Any) -> None:
        if message.type in {"error", "warning"}:
            complaints.append(message.text)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )

        def open_page(width: int) -> Any:
            page = browser.new_page(viewport={"width": width, "height": 800})
            page.set_default_timeout(20_000)
            page.on("console", note)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(simulator.base_url)
            return page

        yield open_page
        browser.close()
    assert complaints == []


def armed(simulator: SimulatorProcess) -> list[tuple[Any, ...]]:
    return [
        (fault["endpoint"], fault["name"], fault["times"], fault["options"])
        for fault in simulator.control.get("faults")["armed"]
    ]


def test_a_person_arms_and_disarms_faults_by_clicking(open_page, simulator):
    page = open_page(1280)

    page.get_by_label("For the next").fill("3")
    page.get_by_role("group", name="Verification").get_by_text("Truncated").click()
    page.get_by_text("All faults", exact=True).click()
    page.get_by_label("Where").select_option("lookup")
    page.get_by_label("What").select_option("slow")
    page.get_by_label("Times").fill("")
    page.get_by_label("Seconds").fill("4")
    page.get_by_role("button", name="Arm", exact=True).click()
    page.get_by_text("slow on lookup, until cleared, seconds 4").wait_for()

    assert armed(simulator) == [
        ("verify", "truncated", 3, {}),
        ("lookup", "slow", None, {"seconds": 4}),
    ]
    page.get_by_role("button", name="Disarm").first.click()
    assert [name for _, name, *_ in armed(simulator)] == ["slow"]
    page.get_by_role("button", name="Clear all faults").click()
    page.get_by_text("No fault is armed.").wait_for()
    assert armed(simulator) == []


def test_enter_in_the_number_arms_nothing(open_page, simulator):
    page = open_page(1280)

    page.get_by_label("For the next").press("Enter")
    page.get_by_text("No fault is armed.").wait_for()

    assert armed(simulator) == []


def test_the_page_fits_a_phone(open_page):
    page = open_page(360)

    assert page.evaluate("document.documentElement.scrollWidth") <= 360
