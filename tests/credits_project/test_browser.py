from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from allauth.mfa.totp.internal.auth import yield_hotp_counters_from_time as counters
from django.core.wsgi import get_wsgi_application
from django.db import connections

from tests.factories import PASSWORD, make_staff

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
    None,
)

pytestmark = [
    pytest.mark.browser,
    # Where it must be there, its absence is an error.
    pytest.mark.skipif(
        CHROMIUM is None and os.environ.get("REQUIRE_BROWSER") != "1",
        reason="Chromium is not installed",
    ),
]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        super().process_request_thread(request, client_address)
        connections.close_all()


class Quiet(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def site(committed: str, settings: Any) -> Iterator[str]:
    """The site, served to a browser; gives its address."""
    with make_server(
        "127.0.0.1", 0, get_wsgi_application(), server_class=Server, handler_class=Quiet
    ) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        settings.CSRF_TRUSTED_ORIGINS = [address]
        try:
            yield address
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def staff(committed: str) -> Any:
    """A member of finance; asked for before the page, whose loop keeps Django out."""
    return make_staff("finance", password=PASSWORD)


@pytest.fixture
def page(site: str) -> Iterator[Any]:
    """A page of a headless browser; what it complains of fails the test."""
    from playwright.sync_api import sync_playwright

    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        page = browser.new_page(base_url=site, viewport={"width": 1100, "height": 800})
        page.on(
            "console",
            lambda message: (
                complaints.append(message.text)
                if message.type in ("error", "warning")
                else None
            ),
        )
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        try:
            yield page
        finally:
            browser.close()
    assert complaints == []


def test_the_api_s_documentation_works_under_the_security_policy(page):
    page.goto("/docs")
    page.click("#operations-account-me button.opblock-summary-control")
    page.click("#operations-account-me .try-out__btn")

    page.wait_for_selector("#operations-account-me .execute")
    assert page.title() == "Course Credits: the API"


def test_staff_set_up_a_second_factor_and_then_see_the_console(staff, page, settings):
    settings.STAFF_MFA_REQUIRED = True

    page.goto("/admin/")
    page.fill("input[name=login]", staff.email)
    page.fill("input[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_url("**/accounts/2fa/")
    page.click("a[href='/accounts/2fa/totp/activate/']")
    page.fill("input[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    secret = page.input_value("#authenticator_secret")
    page.fill("input[name=code]", code_of(secret))
    page.click("main button[type=submit]")
    page.wait_for_url(re.compile("/accounts/2fa/(recovery-codes/.*)?$"))
    page.goto("/admin/")

    assert page.title().startswith("Staff console")


def test_pages_fit_the_screens_of_phones_and_desks(page):
    paths = ("/", "/problems", "/problems/insufficient-credits", "/accounts/signup/")
    for width in (360, 1100):
        page.set_viewport_size({"width": width, "height": 800})
        for path in paths:
            page.goto(path)

            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
            assert page.evaluate("getComputedStyle(document.body).margin") == "0px"


def code_of(secret: str) -> str:
    """The code that an authenticator app would show now."""
    return str(format_hotp_value(hotp_value(secret, next(iter(counters())))))
