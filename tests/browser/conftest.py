"""A running system, and a browser whose every complaint fails the test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import requests

from tests.browser import stage
from tests.postgres import clone_database, drop_database
from tests.simulator_process import until
from tests.system import System, free_port, start_system

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
    None,
)
# It speaks to nobody but the site.
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="package")
def chromium() -> str:
    """Where the browser is; without one the tests are skipped, unless that is wrong."""
    if CHROMIUM is not None:
        return CHROMIUM
    reason = "Chromium is not installed (Debian: apt-get install chromium)"
    if os.environ.get("REQUIRE_BROWSER") == "1":
        pytest.fail(f"{reason}, and REQUIRE_BROWSER is set")
    pytest.skip(reason)


@pytest.fixture(scope="package")
def system(
    chromium: str, django_db_setup: None, django_db_blocker: Any
) -> Iterator[System]:
    """Web server, worker and simulator, with a marketplace in which much happened."""
    from django.db import connections

    settings = connections["default"].settings_dict
    template = settings["NAME"]
    with django_db_blocker.unblock():
        connections.close_all()
        settings["NAME"] = clone_database(template)
        try:
            with start_system(settings["NAME"]) as running:
                yield running
        finally:
            connections.close_all()
            name, settings["NAME"] = settings["NAME"], template
            drop_database(name)


@pytest.fixture(scope="package")
def marketplace(system: System) -> stage.Marketplace:
    """People, courses, purchases, withdrawals in every state; made once."""
    return stage.set_up(system)


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Any]:
    """A headless browser. While it is open, Django's tables are not to be asked here.

    Playwright keeps an event loop in this thread, in which Django refuses to work.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=chromium, args=list(_ARGUMENTS)
        )
        yield running
        running.close()


@pytest.fixture
def complaints() -> list[str]:
    """What browsers said about the pages; a test that expects any takes them out."""
    return []


@pytest.fixture
def open_page(
    marketplace: stage.Marketplace, browser: Any, complaints: list[str]
) -> Iterator[Callable[..., Any]]:
    """Returns what opens a page of a person's own browser, signed in by the form."""
    contexts = []

    def open_page(email: str = "", **options: Any) -> Any:
        context = browser.new_context(
            base_url=marketplace.site,
            **{"viewport": {"width": 1280, "height": 800}, **options},
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: _note(complaints, message))
        page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
        page.on("dialog", lambda dialog: _refuse(complaints, dialog))
        if email:
            stage.sign_in(page, email)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def _note(complaints: list[str], message: Any) -> None:
    if message.type in {"error", "warning"}:
        complaints.append(f"{message.location.get('url')}: {message.text}")


def _refuse(complaints: list[str], dialog: Any) -> None:
    complaints.append(f"a dialog: {dialog.message}")
    dialog.dismiss()


@pytest.fixture
def strict_site(marketplace: stage.Marketplace) -> Iterator[System]:
    """The same site with STAFF_MFA_REQUIRED on, as in production."""
    running = marketplace.system
    port = free_port()
    site = f"http://127.0.0.1:{port}"
    strict = replace(
        running,
        port=port,
        environment={
            **running.environment,
            "SITE_URL": site,
            "STAFF_MFA_REQUIRED": "true",
        },
        processes={},
    )
    strict.start("web")
    try:
        until(lambda: answers(site), seconds=60)
        yield strict
    finally:
        strict.kill("web")


def answers(site: str) -> bool:
    """Return whether the site is up."""
    try:
        return requests.get(f"{site}/readyz", timeout=5).ok
    except (requests.ConnectionError, requests.Timeout):
        return False
