"""Staff at the console, by mouse and keyboard."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.browser import stage
from tests.simulator_process import until

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

EARNINGS = "/admin/courses/enrollment/earnings/"
WITHDRAWALS = "/admin/withdrawals/withdrawalrequest/"
GROUPS = ("support", "finance", "auditors", "superuser")
# Every kind of page once: the lists, a row of each, its history, and what adds one.
_PAGE = re.compile(r"^/admin/(?!logout|jsi18n|password_change)[^?#]*$")


def links_of(page: Any) -> list[str]:
    """Return the paths of the console that a page leads to."""
    found = page.eval_on_selector_all(
        "a[href]", "links => links.map(link => new URL(link.href).pathname)"
    )
    return [path for path in found if _PAGE.match(path)]


def kind_of(path: str) -> str:
    """Return what a page is, whichever row it shows."""
    parts = path.strip("/").split("/")
    if len(parts) > 3 and parts[3] != "add":
        parts[3] = "row"
    return "/".join(parts)


def crawl(
    page: Any, look: Callable[[str], None] = lambda path: None
) -> dict[str, tuple[str, int]]:
    """Open a page of each kind that can be reached; return their paths and statuses.

    `look` is called on each page.
    """
    seen: dict[str, tuple[str, int]] = {}
    waiting = ["/admin/"]
    while waiting:
        path = waiting.pop()
        if kind_of(path) in seen:
            continue
        answer = page.goto(path)
        seen[kind_of(path)] = (path, answer.status)
        waiting += links_of(page)
        look(path)
    return seen


@pytest.mark.parametrize("group", GROUPS)
def test_no_page_of_the_console_complains(
    group: str, marketplace: stage.Marketplace, open_page: Callable[..., Any]
):
    page = open_page(marketplace.staff[group])

    seen = crawl(page)

    # The lists alone are twenty; what the browser complained of, the fixture tells.
    assert len(seen) > 40, sorted(seen)
    assert {path for path, status in seen.values() if status != 200} == set()


def test_finance_approves_a_withdrawal_by_clicking(
    marketplace: stage.Marketplace, open_page: Callable[..., Any]
):
    page = open_page(marketplace.staff["finance"])
    page.get_by_role("link", name="Withdrawals to decide").click()
    row = page.locator("#result_list tr", has_text="10.00").first

    row.get_by_role("checkbox").check()
    page.get_by_label("Action:").select_option(label="Approve and pay out")
    page.get_by_role("button", name="Run").or_(
        page.get_by_role("button", name="Go")
    ).first.click()

    message = page.locator(".messagelist .success").inner_text()
    assert "approved" in message
    assert "MWK to Airtel Money" in message
    until(lambda: marketplace.status_of(marketplace.approve) == "paid", seconds=45)


def test_finance_rejects_a_withdrawal_with_a_reason(
    marketplace: stage.Marketplace, open_page: Callable[..., Any]
):
    page = open_page(marketplace.staff["finance"])
    page.goto(WITHDRAWALS)
    page.locator("#result_list tr", has_text="11.00").get_by_role("checkbox").check()
    page.get_by_label("Action:").select_option("reject")
    page.locator("button[name=index]").click()

    assert "11.00 credits" in page.locator("#content-main").inner_text()
    page.get_by_role("button", name="Reject withdrawals").click()
    # The browser itself asks for what is missing.
    assert page.evaluate("document.activeElement.id") == "id_reason"
    page.get_by_label("Reason:").fill("the name does not fit <b>the number</b>")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{WITHDRAWALS}")

    assert "rejected" in page.locator(".messagelist").inner_text()
    assert marketplace.status_of(marketplace.reject) == "rejected"


def test_an_auditor_sees_no_button_that_changes_anything(
    marketplace: stage.Marketplace, open_page: Callable[..., Any]
):
    page = open_page(marketplace.staff["auditors"])

    def look(path: str) -> None:
        buttons = page.eval_on_selector_all(
            "main button, main [type=submit]",
            "found => found.filter(one => one.checkVisibility())"
            ".map(one => one.value || one.innerText)",
        )
        # A statement to take along changes nothing either.
        allowed = {"Save the file"} if path.startswith(EARNINGS) else {"Search"}
        assert set(buttons) <= allowed, path
        assert page.locator("[name=action], [name=_save]").count() == 0, path

    crawl(page, look)

    token = page.locator("[name=csrfmiddlewaretoken]").first.input_value()
    answer = page.request.post(
        WITHDRAWALS,
        form={
            "csrfmiddlewaretoken": token,
            "action": "approve",
            "_selected_action": marketplace.untouched["id"],
        },
        headers={"Referer": f"{marketplace.site}{WITHDRAWALS}"},
    )
    assert answer.status in (200, 403)
    assert marketplace.status_of(marketplace.untouched) == "requested"


def test_hostile_texts_are_shown_and_never_run(
    marketplace: stage.Marketplace, open_page: Callable[..., Any]
):
    page = open_page(marketplace.staff["finance"])

    page.goto("/admin/courses/course/")
    for text in stage.HOSTILE:
        link = page.locator("#result_list").get_by_text(text, exact=True)
        assert link.count() == 1, text
    for path in (
        "/admin/courses/course/",
        "/admin/courses/enrollment/",
        "/admin/withdrawals/payoutmethod/",
        "/admin/withdrawals/withdrawalrequest/",
        "/admin/wallets/credittransfer/",
        "/admin/auth/user/",
    ):
        page.goto(path)
        rows = page.eval_on_selector_all(
            "#result_list tbody th a", "links => links.map(link => link.href)"
        )
        for address in rows[:8]:
            page.goto(address)
            assert page.locator("#content [onerror], #content [onload]").count() == 0
            assert (
                page.locator("#content [onfocus], #content script:not([src])").count()
                == 0
            )
            assert page.locator("#content a[href^=javascript]").count() == 0
    # The fixture sees to it that no dialog came up.


def test_what_waits_is_on_the_first_page_with_the_books(
    marketplace: stage.Marketplace, open_page: Callable[..., Any]
):
    page = open_page(marketplace.staff["auditors"])

    assert page.get_by_role("heading", name="Waiting for staff").is_visible()
    page.get_by_role("row", name="revenue").get_by_role("link").click()
    page.wait_for_url("**/creditwallet/?family=revenue")

    codes = page.locator("#result_list tbody th").all_inner_texts()
    assert len(codes) == 16
    assert all(code.startswith("revenue:") for code in codes)
