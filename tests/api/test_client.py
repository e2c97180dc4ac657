"""A client made from the document by public tools compiles and does what it says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from django.contrib.auth.models import Group
from django.test import Client

from tests.factories import PASSWORD, make_user
from tests.journeys import people
from tests.system import System, start_system

pytestmark = pytest.mark.xdist_group("client")

CLIENT = Path(__file__).resolve().parents[2] / "clients" / "typescript"


@pytest.fixture(scope="module")
def npm() -> str:
    """Where npm is; without Node.js the tests are skipped, unless that is wrong."""
    found = shutil.which("npm")
    if found and shutil.which("node"):
        return found
    reason = "Node.js and npm are not installed"
    if os.environ.get("REQUIRE_NODE") == "1":
        pytest.fail(f"{reason}, and REQUIRE_NODE is set")
    pytest.skip(reason)


@pytest.fixture
def paying_system(committed: str) -> Iterator[System]:
    """A system that pays out small withdrawals without anybody's approval."""
    with start_system(committed, WITHDRAWAL_AUTO_APPROVE_BELOW="1000") as system:
        yield system


@pytest.fixture
def client_folder(npm: str, tmp_path: Path) -> Path:
    """A copy of the client's sources with its tools, for nothing is made in place."""
    tools = CLIENT / "node_modules"
    lock = CLIENT / "package-lock.json"
    installed = tools / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        _run([npm, "ci", "--ignore-scripts", "--no-progress"], CLIENT)
        os.utime(installed)
    for name in ("package.json", "tsconfig.json", ".npmrc"):
        shutil.copy(CLIENT / name, tmp_path)
    shutil.copytree(CLIENT / "src", tmp_path / "src")
    (tmp_path / "node_modules").symlink_to(tools)
    return tmp_path


def _run(command: list[str], folder: Path, **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _save(url: str, file: Path) -> str:
    answer = requests.get(url, headers={"Accept": "application/json"}, timeout=60)
    answer.raise_for_status()
    file.write_bytes(answer.content)
    return str(file)


def test_a_client_made_from_the_document_compiles_and_does_the_main_journey(
    paying_system: System, client_folder: Path, npm: str
):
    people.payout_rate()
    people.new_package(credits="50.00")
    coach = make_user("coach", password=PASSWORD)
    coach.groups.add(Group.objects.get(name="coaches"))
    site, folder = paying_system.site, client_folder
    documents = {
        "API_DOCUMENT": _save(f"{site}/api/v1/openapi.json", folder / "api.json"),
        "ALLAUTH_DOCUMENT": _save(f"{site}/_allauth/openapi.json", folder / "in.json"),
    }

    _run([npm, "run", "--silent", "generate"], folder, **documents)
    _run([npm, "run", "--silent", "build"], folder)
    printed = _run(
        [npm, "run", "--silent", "journey"],
        folder,
        SITE=site,
        COACH_EMAIL=coach.email,
        COACH_PASSWORD=PASSWORD,
    )

    seen: dict[str, Any] = json.loads(printed)
    lines = seen.pop("lines")
    assert seen == {
        "bought": "50.00",
        "left": "10.00",
        "refusal": "/problems/already-enrolled",
        "payout": {"net": "270.00", "status": "paid"},
        "balances": {"learner": "10.00", "coach": "10.00"},
    }
    assert [line.split(",")[2] for line in lines] == [
        "type",
        "opening_balance",
        "purchase",
        "course_payment",
        "closing_balance",
    ]


@pytest.mark.django_db
def test_a_wrong_use_of_the_client_does_not_compile(client_folder: Path, npm: str):
    folder = client_folder
    for name, url in (
        ("api.json", "/api/v1/openapi.json"),
        ("in.json", "/_allauth/openapi.json"),
    ):
        answer = Client().get(url, headers={"Accept": "application/json"})
        (folder / name).write_bytes(answer.content)
    source = folder / "src" / "journey.ts"
    text = source.read_text()
    wrong = text.replace('credits: "30.00"', "credit: 30")
    assert wrong != text
    source.write_text(wrong)
    _run(
        [npm, "run", "--silent", "generate"],
        folder,
        API_DOCUMENT=str(folder / "api.json"),
        ALLAUTH_DOCUMENT=str(folder / "in.json"),
    )

    with pytest.raises(AssertionError, match="credit"):
        _run([npm, "run", "--silent", "build"], folder)


def test_the_lock_names_no_registry():
    lock = json.loads((CLIENT / "package-lock.json").read_text())

    packages = {name: package for name, package in lock["packages"].items() if name}
    assert len(packages) > 10
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert all("integrity" in package for package in packages.values())


def test_versions_are_pinned():
    package = json.loads((CLIENT / "package.json").read_text())

    versions = {**package["dependencies"], **package["devDependencies"]}
    assert [name for name, version in versions.items() if version[0] in "^~*>"] == []
