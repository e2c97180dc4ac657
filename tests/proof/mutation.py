"""Mutation testing: `make mutation`, or this file with mutmut's own arguments.

mutmut changes the code in one small way at a time and runs the tests that reach the
place. What it cannot do by itself is done here: it gives each run a copy of a database
that is ready, instead of having all migrations run for every mutant, and it lets
functions be changed that `transaction.atomic` decorates, which are all that write.
"""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Prepare a database and start mutmut in a process of its own."""
    sys.path.insert(0, str(ROOT))
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
            [sys.executable, "-c", inside, *sys.argv[1:]],
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


def inside() -> None:
    """Run mutmut with the two differences."""
    import django.test.utils
    from mutmut.mutation import file_mutation

    utils: Any = django.test.utils
    utils.setup_databases = _clone
    utils.teardown_databases = _drop
    _mutate_what_is_atomic(file_mutation)
    from mutmut.__main__ import cli

    cli()


def _mutate_what_is_atomic(file_mutation: Any) -> None:
    import libcst
    from libcst import matchers

    atomic = matchers.Attribute(
        value=matchers.Name("transaction"), attr=matchers.Name("atomic")
    )
    visitor = file_mutation.MutationVisitor
    skip = visitor._skip_node_and_children

    def skip_but_atomic(self: Any, node: Any) -> bool:
        if (
            isinstance(node, libcst.FunctionDef)
            and len(node.decorators) == 1
            and matchers.matches(node.decorators[0].decorator, atomic)
        ):
            return False
        return bool(skip(self, node))

    visitor._skip_node_and_children = skip_but_atomic


def _maintain(statement: str) -> None:
    import psycopg
    from django.db import connections

    connection = connections["default"]
    parameters = {**connection.get_connection_params(), "dbname": "postgres"}
    for name in ("cursor_factory", "context", "assume_role"):
        parameters.pop(name, None)
    with psycopg.connect(**parameters, autocommit=True) as server:
        server.execute(statement.encode())


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
