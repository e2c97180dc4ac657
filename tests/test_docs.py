"""The README, the settings and `.env.example` say the same as the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from django.core.management import get_commands
from django.urls import Resolver404, resolve

import courses.services
import payments.services
import wallets.seals
import wallets.services
import withdrawals.services
from credits_project import problem_pages
from credits_project.urls import api
from payments.simulator import faults

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
APPS = ("credits_project", "wallets", "payments", "courses", "withdrawals")
SOME_ID = "0190b5c2-0000-7000-8000-000000000000"


def without_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def section(title: str) -> str:
    """Return the part of the README under a heading of the second level."""
    parts = re.split(r"^## ", README, flags=re.MULTILINE)
    (found,) = [part for part in parts if part.startswith(f"{title}\n")]
    return found


def first_cells(title: str) -> list[str]:
    """Return every word in code style of the first columns of a section's tables."""
    rows = re.findall(r"^\| (.+?) \|", without_blocks(section(title)), re.MULTILINE)
    return [word for row in rows for word in re.findall(r"`([^`]+)`", row)]


def settings_read() -> set[str]:
    """Return the names that settings.py asks the environment for."""
    tree = ast.parse((ROOT / "credits_project" / "settings.py").read_text())
    return {
        str(node.args[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "env"
        and isinstance(node.args[0], ast.Constant)
    }


def test_every_setting_is_in_the_table_of_settings_once():
    listed = first_cells("Settings")

    assert len(settings_read()) > 30
    assert sorted(listed) == sorted(settings_read())


def test_every_setting_is_in_the_example_once():
    example = (ROOT / ".env.example").read_text()

    assert sorted(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE)) == sorted(
        settings_read()
    )


def test_the_example_gives_the_defaults_that_the_table_names():
    example = dict(
        re.findall(
            r"^([A-Z_]+)=(.+)$", (ROOT / ".env.example").read_text(), re.MULTILINE
        )
    )
    table = dict(
        re.findall(r"^\| `([A-Z_]+)` \| `(.+?)` \|", section("Settings"), re.MULTILINE)
    )
    # It names loopback, so that a copy of it works.
    del example["ALLOWED_HOSTS"]

    assert example == table


def test_every_command_is_in_the_readme():
    own = {name for name, app in get_commands().items() if app in APPS}
    # Those that a command of ours has the same name as, for which it says more.
    taken_over = {"migrate", "procrastinate"}

    assert len(own) > 8
    assert own - taken_over <= set(first_cells("Commands"))
    assert all(f"`{name}" in section("Commands") for name in taken_over)


def test_no_command_is_in_the_readme_that_does_not_exist():
    named = re.findall(r"manage\.py ([a-z_]+)", README)

    assert len(named) > 10
    assert set(named) | set(first_cells("Commands")) <= set(get_commands())


def test_every_problem_is_in_the_table_with_its_status_and_facts():
    listed = {
        slug: (int(status), set(re.findall(r"`([a-z_]+)`", facts.partition(":")[0])))
        for status, slug, facts in re.findall(
            r"^\| (\d{3}) \| `([a-z-]+)` \| .*? \| ?(.*?) ?\|$",
            section("API"),
            re.MULTILINE,
        )
    }

    assert listed == {
        slug: (page.status, set(page.members))
        for slug, page in problem_pages.pages().items()
    }


def test_every_target_of_make_is_in_the_readme():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))

    assert len(targets) > 5
    assert targets == set(re.findall(r"`make ([a-z-]+)", README)) | {"run"}
    assert "\nmake run\n" in README


def requirements() -> set[str]:
    return {
        name
        for file in ("requirements.txt", "requirements-dev.txt")
        for name in re.findall(
            r"^([A-Za-z][\w.-]*)", (ROOT / file).read_text(), re.MULTILINE
        )
    }


def test_every_dependency_is_in_the_tables_with_its_reason():
    assert len(requirements()) > 20
    assert set(first_cells("Dependencies")) == requirements()


def links() -> list[str]:
    found = re.findall(r"\]\(([^)\s]+)\)", without_blocks(README))
    return [target for target in found if not re.match(r"https?://", target)]


def test_every_relative_link_and_image_leads_somewhere():
    files = {target for target in links() if not target.startswith("#")}

    assert len(files) > 10
    assert [target for target in sorted(files) if not (ROOT / target).exists()] == []


def test_every_link_within_the_page_leads_to_a_heading():
    headings = re.findall(r"^##+ (.+)$", without_blocks(README), re.MULTILINE)
    anchors = {
        "#" + re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    }

    assert {target for target in links() if target.startswith("#")} <= anchors


def test_every_image_has_words_for_those_who_do_not_see_it():
    assert re.findall(r"!\[\]\(", README) == []


def paths() -> set[str]:
    """Return the addresses that the README names, as the site would be asked."""
    text = README.replace("$API", "/api/v1").replace("$SITE", "")
    text = re.sub(r"\$\(echo [^)]*\)|\$[A-Z]+\b|\{id\}", SOME_ID, text)
    text = text.replace("<slug>", "not-found")
    named = re.findall(
        r"(?<![\w./:-])/(?:api/v1|_allauth|admin|accounts|payments|problems|healthz"
        r"|readyz|metrics|docs)\b[\w/.-]*",
        text,
    )
    on_the_site = re.findall(
        r"http://127\.0\.0\.1:8000(/[\w/.-]*)|https://credits\.example\.com(/[\w/.-]+)",
        text,
    )
    return {path.rstrip(".") for path in [*named, *("".join(p) for p in on_the_site)]}


def test_every_address_in_the_readme_exists():
    # The root of a contract that is not ours, and of the API.
    missing = []
    for path in sorted(paths() - {"/_allauth/app/v1/", "/api/v1", "/api/v1/"}):
        try:
            resolve(path)
        except Resolver404:
            missing.append(path)

    assert len(paths()) > 30
    assert missing == []


def api_paths() -> set[str]:
    def of(patterns: object, prefix: str) -> set[str]:
        found = set()
        for pattern in patterns:  # type: ignore[attr-defined]
            route = prefix + str(pattern.pattern)
            inner = getattr(pattern, "url_patterns", None)
            found |= {route} if inner is None else of(inner, route)
        return found

    return {re.sub(r"<[^>]+>", "{id}", route) for route in of(api, "/api/v1/")}


def test_every_address_of_the_api_is_in_the_readme():
    # The webhook's other form is for gateways that insist on a slash.
    expected = {route for route in api_paths() if not route.endswith("/")}

    assert len(expected) > 25
    assert [path for path in sorted(expected) if f"`{path}`" not in README] == []


def test_every_guard_that_the_rules_name_exists():
    rows = re.findall(
        r"^\| .+? \| .+? \| (`.+?) \| `test", section("The ledger"), re.MULTILINE
    )
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    code = "".join(
        file.read_text()
        for app in APPS
        for file in [*(ROOT / app).rglob("*.sql"), *(ROOT / app).rglob("00*.py")]
    )

    assert len(named) > 25
    missing = [name for name in sorted(named) if not re.search(rf"\b{name}\b", code)]
    assert missing == []


def test_every_test_that_the_rules_name_exists():
    named = re.findall(r"`(test_\w+)`", section("The ledger"))
    code = "".join(file.read_text() for file in (ROOT / "tests").rglob("test_*.py"))

    assert len(named) > 15
    assert [name for name in named if f"def {name}(" not in code] == []


def test_every_service_that_the_rules_name_exists():
    rows = re.findall(
        r"^\| .+? \| (`.+?) \| `.+? \| `test", section("The ledger"), re.MULTILINE
    )
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    offered: set[str] = set()
    for module in (
        wallets.services,
        wallets.seals,
        payments.services,
        courses.services,
        withdrawals.services,
    ):
        offered |= set(module.__all__)

    assert len(named) > 10
    assert named <= offered


@pytest.mark.parametrize("file", ["README.md", "CHANGELOG.md", ".env.example"])
def test_the_documents_name_no_place_of_somebodys_machine(file: str):
    text = (ROOT / file).read_text()

    assert re.findall(r"/(?:home|root|Users|work|tmp|var)/\S*", text) == []


def test_the_faults_of_the_simulator_are_those_it_knows():
    named = set(re.findall(r"`([\w-]+)`", section("The simulator")))

    assert {*faults.NAMES, *faults.ENDPOINTS, *faults.GROUPS} <= named
