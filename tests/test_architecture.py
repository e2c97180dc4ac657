"""The house stands as it was drawn: the arrows of the imports point down only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
APPS = ("wallets", "payments", "courses", "withdrawals")
# What an app may import of the others.
MAY_IMPORT = {
    "wallets": ("wallets",),
    "payments": ("payments", "wallets"),
    "courses": ("courses", "wallets"),
    "withdrawals": ("withdrawals", "wallets", "payments.gateway"),
}
# The parts of `credits_project` that put the apps together. All others are for the
# apps to build on, and know none of them.
COMPOSES = {"views.py", "urls.py", "metrics.py", "demo.py", "overview.py"}


def modules_of(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imports_of(module: Path) -> Iterator[str]:
    """Yield the dotted names that a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, allowed: tuple[str, ...]) -> bool:
    return any(name == root or name.startswith(f"{root}.") for root in allowed)


def wrong_imports(app: str, names: list[str]) -> list[str]:
    return [
        name
        for name in names
        if within(name, APPS) and not within(name, MAY_IMPORT[app])
    ]


@pytest.mark.parametrize("app", APPS)
def test_an_app_imports_only_what_it_may(app: str):
    modules = modules_of(app)
    assert len(modules) > 5, f"{app} has modules to look at"

    found = {
        str(module.relative_to(ROOT)): wrong
        for module in modules
        if (wrong := wrong_imports(app, list(imports_of(module))))
    }

    assert found == {}


def test_a_wrong_import_would_be_found():
    source = "from courses import services\nimport payments.models\n"
    names = [
        name
        for node in ast.walk(ast.parse(source))
        for name in (
            [f"{node.module}.{alias.name}" for alias in node.names]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    ]

    assert wrong_imports("withdrawals", names) == [
        "courses.services",
        "payments.models",
    ]


def test_the_simulator_imports_nothing_of_ours():
    modules = modules_of("payments/simulator")
    assert modules

    ours = (*APPS, "credits_project", "tests")
    found = [
        (str(module.relative_to(ROOT)), name)
        for module in modules
        for name in imports_of(module)
        if within(name, ours) and not within(name, ("payments.simulator",))
    ]

    assert found == []


def test_the_gateways_client_knows_no_tables():
    modules = modules_of("payments/gateway")
    assert modules

    found = [
        (str(module.relative_to(ROOT)), name)
        for module in modules
        for name in imports_of(module)
        if within(name, APPS) and not within(name, ("payments.gateway",))
    ]

    assert found == []


def test_what_the_apps_build_on_does_not_know_them():
    found = [
        (str(module.relative_to(ROOT)), name)
        for module in modules_of("credits_project")
        if module.name not in COMPOSES
        and not {"management", "migrations"} & set(module.parts)
        for name in imports_of(module)
        if within(name, APPS)
    ]

    assert found == []


def test_transactions_are_opened_by_services_only():
    """Views, serializers, consoles and tasks open none: see the page on style."""
    found = [
        str(module.relative_to(ROOT))
        for app in APPS
        for module in modules_of(app)
        if module.name in {"views.py", "serializers.py", "admin.py", "tasks.py"}
        if "atomic" in module.read_text()
    ]

    assert found == []
