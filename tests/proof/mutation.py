"""Mutation testing: `make mutation`, or this file with mutmut's own arguments.

mutmut changes the code in one small way at a time and runs the tests that reach the
place. What it cannot do by itself is done here: it gives each run a copy of a database
that is ready, instead of having all migrations run for every mutant; it lets functions
be changed that `transaction.atomic` or `cache` decorates, among them all that write; it
begins with the tests that are likeliest to notice; and `judge` compares what survived
with the reasons in `survivors.toml`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.proof.survivors import Change

ROOT = Path(__file__).resolve().parents[2]
# What mutmut takes for neither noticed nor unnoticed.
_SUSPICIOUS = 35


def main() -> int:
    """Do what the arguments say: `judge`, or something of mutmut's."""
    sys.path.insert(0, str(ROOT))
    os.chdir(ROOT)
    arguments = sys.argv[1:]
    return judge() if arguments == ["judge"] else run_mutmut(*arguments)


def run_mutmut(*arguments: str) -> int:
    """Prepare a database and start mutmut in a process of its own."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    import django
    from django.test.utils import setup_databases, teardown_databases

    from tests import postgres

    django.setup()
    databases = setup_databases(verbosity=0, interactive=False)
    from django.db import connections

    template = connections["default"].settings_dict["NAME"]
    connections.close_all()
    inside = (
        "import sys; sys.argv[0] = 'mutmut';"
        f" exec(compile(open({__file__!r}).read(), {__file__!r}, 'exec'),"
        " {'__name__': 'inside', '__file__': " + repr(__file__) + "}, None)"
    )
    try:
        return subprocess.run(
            [sys.executable, "-c", inside, *arguments],
            cwd=ROOT,
            check=False,
            env={
                **os.environ,
                "TEST_DATABASE_URL": os.environ["DATABASE_URL"],
                "MUTATION_TEMPLATE": str(template),
                # The mutants are imported from a folder of their own.
                "PYTHONPATH": "",
            },
        ).returncode
    finally:
        teardown_databases(databases, verbosity=0)
        postgres.stop_server_after_last_run()


def judge() -> int:
    """Compare what the last run found with the reasons; return 0 where they agree."""
    from tests.proof import survivors

    found = _mutants()
    if slow := found["timeout"]:
        # Once it may have been the machine.
        if failed := run_mutmut("run", "--max-children", "1", *slow):
            return failed
        found = _mutants()
    changes = Counter(_change_of(mutant) for mutant in found["survived"])
    wrong = survivors.differences(changes, survivors.explained())
    for status in found.keys() - {"killed", "timeout", "survived"}:
        wrong += [f"{status}: {_change_of(mutant)}" for mutant in found[status]]
    sys.stdout.writelines(f"{line}\n" for line in wrong)
    sys.stdout.write(
        f"{sum(map(len, found.values()))} mutants: {len(found['killed'])} killed,"
        f" {len(found['timeout'])} timed out twice,"
        f" {len(found['survived'])} survived; {len(wrong)} differences from"
        " survivors.toml\n"
    )
    return 1 if wrong else 0


def _mutants() -> defaultdict[str, list[str]]:
    """Return the mutants of the last run by their status, in mutmut's words."""
    from mutmut.mutation.data import SourceFileMutationData
    from mutmut.stats import status_by_exit_code
    from mutmut.utils.file_utils import walk_mutatable_files

    found = defaultdict(list)
    for path in walk_mutatable_files():
        data = SourceFileMutationData(path=path)
        data.load()
        for mutant, code in data.exit_code_by_key.items():
            found[status_by_exit_code[code]].append(mutant)
    return found


def _change_of(mutant: str) -> Change:
    from mutmut.mutation.diff_apply import get_diff_for_mutant
    from mutmut.utils.format_utils import orig_function_and_class_names_from_key

    from tests.proof import survivors

    function, owner = orig_function_and_class_names_from_key(mutant)
    module = mutant.rpartition(".")[0]
    name = ".".join(part for part in (module, owner, function) if part)
    return survivors.change_of(name, get_diff_for_mutant(mutant))


def inside() -> None:
    """Run mutmut with what is different here."""
    import django.test.utils
    from mutmut.mutation import file_mutation
    from mutmut.runners.harness import PytestRunner

    utils: Any = django.test.utils
    utils.setup_databases = _clone
    utils.teardown_databases = _drop
    _mutate_what_is_decorated(file_mutation)
    _run_its_own_tests_first(PytestRunner)
    _begin_with_empty_caches(PytestRunner)
    from mutmut.__main__ import cli

    cli()


def _mutate_what_is_decorated(file_mutation: Any) -> None:
    import libcst
    from libcst import matchers

    harmless = matchers.Name("cache") | matchers.Attribute(
        value=matchers.Name("transaction"), attr=matchers.Name("atomic")
    )
    visitor = file_mutation.MutationVisitor
    skip = visitor._skip_node_and_children

    def skip_but_these(self: Any, node: Any) -> bool:
        if (
            isinstance(node, libcst.FunctionDef)
            and len(node.decorators) == 1
            and matchers.matches(node.decorators[0].decorator, harmless)
        ):
            return False
        return bool(skip(self, node))

    visitor._skip_node_and_children = skip_but_these


def _run_its_own_tests_first(runner: Any) -> None:
    run_tests = runner.run_tests

    def run_own_first(self: Any, *, mutant_name: str | None, tests: list[str]) -> int:
        # Every test proves the books at its end and so reaches the proof, too. Those
        # that are named after the mutant's module are the likeliest to notice.
        own = f"/test_{(mutant_name or '').rpartition('.')[0].rpartition('.')[2]}"
        ordered = sorted(tests, key=lambda test: own not in test)
        return int(run_tests(self, mutant_name=mutant_name, tests=ordered))

    runner.run_tests = run_own_first


def _begin_with_empty_caches(runner: Any) -> None:
    execute_pytest = runner.execute_pytest

    class EmptyCaches:
        def pytest_runtest_setup(self) -> None:
            # What an earlier test had computed would hide the function from this one.
            for name in [name for name in sys.modules if name.startswith("wallets.")]:
                for value in vars(sys.modules[name]).values():
                    if hasattr(value, "cache_clear"):
                        value.cache_clear()

    def execute_empty(self: Any, params: list[str], plugins: Any = ()) -> int:
        plugins = [*plugins, EmptyCaches()]
        return int(execute_pytest(self, params, plugins=plugins))

    runner.execute_pytest = execute_empty


def _maintain(statement: str) -> None:
    import psycopg
    from django.db import connections

    connection = connections["default"]
    parameters = {**connection.get_connection_params(), "dbname": "postgres"}
    for name in ("cursor_factory", "context", "assume_role"):
        parameters.pop(name, None)
    try:
        with psycopg.connect(**parameters, autocommit=True) as server:
            server.execute(statement.encode())
    except psycopg.Error as error:
        # A failure of ours and not of a test: the mutant would count as noticed.
        os.write(2, f"{statement}: {error}\n".encode())
        os._exit(_SUSPICIOUS)


def _clone(**options: Any) -> str:
    from django.db import connections

    name = f"test_run_mutant_{uuid.uuid4().hex[:16]}"
    template = os.environ["MUTATION_TEMPLATE"]
    connections.close_all()
    _maintain(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    connections["default"].settings_dict["NAME"] = name
    return name


def _drop(name: str, **options: Any) -> None:
    from django.db import connections

    connections.close_all()
    _maintain(f'DROP DATABASE "{name}" WITH (FORCE)')


if __name__ == "__main__":
    sys.exit(main())
elif __name__ == "inside":
    inside()
