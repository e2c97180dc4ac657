"""A stranger's tool reads the document and tries the running site.

schemathesis makes requests up, right and wrong ones, and holds every answer to the
document: every check, every operation, as a learner, a coach and a member of finance,
who must not see each other's things. `make fuzz CASES=20000` runs more.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from tests.api import marketplace
from tests.factories import PASSWORD
from tests.system import System

# One system serves it, and it takes long: it has a test process for itself.
pytestmark = pytest.mark.xdist_group("schemathesis")

CASES = int(os.environ.get("FUZZ_CASES") or 3000)
SEED = int(os.environ.get("FUZZ_SEED") or 1)
_CONFIG = Path(__file__).with_name("schemathesis.toml")
# Of each operation at once: of some there are no more that differ.
_EXAMPLES_MAX = 50


def test_a_stranger_s_tool_finds_nothing_wrong(system: System, tmp_path: Path):
    people = marketplace.set_up(system)
    identities = tmp_path / "identities.json"
    identities.write_text(
        json.dumps({"auth": [_identity(name, people[name]) for name in people]})
    )

    made = 0
    for seed in count(SEED):
        run = partial(_run, system.site, identities, seed=seed, left=CASES - made)
        with ThreadPoolExecutor(len(people)) as pool:
            reports = list(pool.map(run, people))
        for name, report in zip(people, reports, strict=True):
            assert report.returncode == 0, f"{name}:\n{report.stdout[-15000:]}"
            made += _cases(report.stdout)
        if made >= CASES:
            break
    assert "Traceback" not in system.printed()


def _identity(name: str, person: marketplace.Person) -> dict[str, object]:
    body = {"email": person.user.email, "password": PASSWORD}
    return {
        "name": name,
        "loginEndpointAuth": {
            "endpoint": "/_allauth/app/v1/auth/login",
            "verb": "POST",
            "contentType": "application/json",
            "payloadRaw": json.dumps(body),
            "token": {
                "extractFrom": "body",
                "extractSelector": "/meta/access_token",
                "sendIn": "header",
                "sendName": "Authorization",
                "sendTemplate": "Bearer {token}",
            },
        },
    }


def _run(
    site: str, identities: Path, identity: str, *, seed: int, left: int
) -> subprocess.CompletedProcess[str]:
    # Beside the document's examples, and each limit of each parameter from both sides.
    examples = min(_EXAMPLES_MAX, max(2, left // 1000))
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(_CONFIG)]
    command += ["run", f"{site}/api/v1/openapi.json", "--checks", "all"]
    command += ["--auth-wfc", str(identities), "--auth-wfc-user", identity]
    command += ["--max-examples", str(examples), "--seed", str(seed)]
    command += ["--generation-database", "none", "--no-color", "--continue-on-failure"]
    return subprocess.run(
        command,
        cwd=identities.parent,
        env={**os.environ, "FUZZ_IDENTITIES": str(identities)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def _cases(report: str) -> int:
    found = re.search(r"(\d+) generated", report)
    assert found, report[-3000:]
    return int(found[1])
