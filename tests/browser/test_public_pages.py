"""Payers, learners and developers at the pages that everybody may see."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.browser import stage
from tests.factories import PASSWORD
from tests.journeys import people
from tests.system import System

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

PUBLIC = (
    "/",
    "/accounts/login/",
    "/accounts/signup/",
    "/accounts/password/reset/",
    "/problems",
    "/problems/insufficient-credits",
    "/api/v1/docs",
)


def test_public_pages_complain_of_nothing_and_fit_a_phone(
    open_page: Callable[..., Any],
):
    for width in (360, 1280):
        page = open_page(viewport={"width": width, "height": 760})
        for path in PUBLIC:
            assert page.goto(path).status == 200
            page.wait_for_load_state("networkidle")
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, (path, wide)


def test_every_field_of_the_public_forms_has_a_label(open_page: Callable[..., Any]):
    page = open_page()

    for path in PUBLIC[1:4]:
        page.goto(path)
        unnamed = page.eval_on_selector_all(
            "main input:not([type=hidden])",
            "inputs => inputs.filter(one => !one.labels.length).map(one => one.name)",
        )
        assert unnamed == [], path


def test_signing_up_by_the_form_leads_to_the_start_page(open_page: Callable[..., Any]):
    page = open_page()
    page.goto("/")
    page.get_by_role("link", name="Create an account").click()
    page.get_by_label("Email").fill("by-the-form@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign Up").click()

    page.wait_for_url(re.compile(r"/$"))
    assert "by-the-form@example.com" in page.locator("main").inner_text()


def test_a_payer_pays_on_the_gateways_page_and_comes_back_to_the_credits(
    marketplace: stage.Marketplace, open_page: Callable[..., Any]
):
    purchase = people.buy(marketplace.learner, marketplace.package)
    page = open_page()
    stage.sign_in(page, marketplace.learner_email, "/")

    page.goto(purchase["checkout_url"])
    page.get_by_role("button", name="Let this attempt fail").click()
    assert page.get_by_role("alert").is_visible()
    page.get_by_text("Card", exact=True).click()
    page.get_by_label("Card number").fill("4242 4242 4242 4242")
    page.get_by_role("button", name=re.compile("^Pay MWK")).click()
    page.wait_for_url(f"{marketplace.site}/payments/return?**")
    page.wait_for_selector("[data-state=paid]")

    assert "105.00 credits are in your wallet" in page.locator("main").inner_text()


def test_a_payer_who_cancels_is_told_that_nothing_was_paid(
    marketplace: stage.Marketplace, open_page: Callable[..., Any]
):
    purchase = people.buy(marketplace.learner, marketplace.package)
    page = open_page(viewport={"width": 360, "height": 760})
    page.goto(purchase["checkout_url"])

    page.get_by_role("button", name="Cancel and go back").click()
    page.wait_for_url(f"{marketplace.site}/payments/return?**")

    state = page.locator("[data-state]").get_attribute("data-state")
    assert state in {"failed", "waiting"}


@pytest.mark.parametrize(
    ("path", "status"),
    [("/nowhere", 404), ("/payments/return?tx_ref=nonsense", 404)],
)
def test_an_error_has_a_page_that_leads_on(
    path: str,
    status: int,
    open_page: Callable[..., Any],
    complaints: list[str],
):
    page = open_page()

    assert page.goto(path).status == status
    assert page.locator("h1").is_visible()
    assert page.get_by_role("link", name="Course Credits").is_visible()
    # Browsers note that the page itself was not found, and nothing else.
    assert len(complaints) == 1
    assert f"status of {status}" in complaints.pop()


def test_staff_without_a_second_factor_are_led_to_its_set_up(
    marketplace: stage.Marketplace, browser: Any, strict_site: System
):
    context = browser.new_context(base_url=strict_site.site)
    page = context.new_page()
    page.set_default_timeout(20_000)
    stage.sign_in(page, marketplace.staff["new"])
    page.wait_for_url("**/accounts/2fa/")

    page.goto("/admin/wallets/creditwallet/")
    assert page.url.endswith("/accounts/2fa/")
    page.click("a[href='/accounts/2fa/totp/activate/']")
    if page.locator("main input[name=password]").count():
        page.fill("main input[name=password]", PASSWORD)
        page.click("main button[type=submit]")
    secret = page.input_value("#authenticator_secret")
    page.fill("input[name=code]", stage.code_of(secret))
    page.click("main button[type=submit]")
    page.wait_for_url(re.compile("/accounts/2fa/(recovery-codes/.*)?$"))
    page.goto("/admin/wallets/creditwallet/")

    assert page.locator("#result_list").is_visible()
    context.close()
