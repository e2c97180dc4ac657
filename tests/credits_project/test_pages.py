from __future__ import annotations

import re

import pytest
from django.test import Client

from credits_project.exceptions import DomainError
from credits_project.problem_pages import pages
from credits_project.problems import GENERIC
from tests.factories import make_staff, make_user

pytestmark = pytest.mark.django_db

# Slugs that the contract names.
CONTRACT = [
    "invalid-request",
    "not-authenticated",
    "permission-denied",
    "not-found",
    "idempotency-key-reused",
    "throttled",
    "gateway-unavailable",
    "insufficient-credits",
    "wallet-frozen",
    "already-enrolled",
    "course-not-available",
    "own-course",
    "price-changed",
    "not-refundable",
    "withdrawal-limit",
    "not-withdrawable",
    "payout-method-not-usable",
    "invalid-transition",
    "request-in-progress",
]


def all_refusals() -> list[type[DomainError]]:
    found, left = [], [DomainError]
    while left:
        for refusal in left.pop().__subclasses__():
            found.append(refusal)
            left.append(refusal)
    # Those of tests have no page.
    return [refusal for refusal in found if not refusal.__module__.startswith("tests")]


@pytest.mark.parametrize("slug", CONTRACT)
def test_every_slug_of_the_contract_has_a_page(slug):
    answer = Client().get(f"/problems/{slug}")

    assert answer.status_code == 200
    assert slug in answer.content.decode()


def test_every_problem_is_explained_by_a_page():
    client = Client()
    slugs = {refusal.code for refusal in all_refusals()} | set(GENERIC)

    listed = client.get("/problems").content.decode()

    assert slugs == set(pages())
    for slug, page in pages().items():
        shown = client.get(f"/problems/{slug}").content.decode()
        assert f'href="/problems/{slug}"' in listed
        assert page.causes, slug
        assert str(page.status) in shown
        assert "`" not in re.sub(r"<script.*?</script>", "", shown)


def test_one_slug_has_one_title_and_one_status():
    kinds = {code: (p.title, p.status) for code, p in pages().items()}

    for refusal in all_refusals():
        assert kinds[refusal.code] == (refusal.title, refusal.status), refusal


def test_a_problem_that_does_not_exist_has_no_page():
    assert Client().get("/problems/nothing").status_code == 404


def test_the_start_page_tells_what_this_is_and_where_everything_is():
    page = Client().get("/").content.decode()

    for link in ("/api/v1/docs", "/api/v1/openapi.json", "/admin/", "/accounts/login/"):
        assert f'href="{link}"' in page
    assert "Credits for a course marketplace" in page


def test_the_start_page_knows_who_is_signed_in():
    user = make_user()
    client = Client()
    client.force_login(user)

    page = client.get("/").content.decode()

    assert user.email in page
    assert 'href="/accounts/logout/"' in page
    assert 'href="/accounts/login/"' not in page


@pytest.mark.parametrize(
    "path",
    [
        "/accounts/login/",
        "/accounts/signup/",
        "/accounts/password/reset/",
        "/problems",
        "/",
        "/nowhere",
        "/api/v1/docs",
    ],
)
def test_pages_hold_no_script_or_style_that_the_policy_would_refuse(path):
    page = Client().get(path).content.decode()

    assert_no_inline(page)


@pytest.mark.parametrize(
    "path",
    [
        "/accounts/email/",
        "/accounts/password/change/",
        "/accounts/2fa/",
        "/accounts/sessions/",
        "/accounts/logout/",
    ],
)
def test_pages_of_an_account_hold_none_either(path):
    client = Client()
    client.force_login(make_staff("finance"))

    answer = client.get(path, follow=True)

    assert answer.status_code == 200
    assert_no_inline(answer.content.decode())
    assert "credits_project/site.css" in answer.content.decode()


def assert_no_inline(page: str) -> None:
    assert "<style" not in page
    assert not re.search(r"\s(style|on[a-z]+)\s*=\s*\"", page)
    for attributes in re.findall(r"<script([^>]*)>", page):
        assert "src=" in attributes or 'type="application/json"' in attributes


def test_docs_lead_to_the_api_s_documentation():
    answer = Client().get("/docs")

    assert (answer.status_code, answer["Location"]) == (302, "/api/v1/docs")
