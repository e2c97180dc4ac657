"""The README's journeys, played as they stand there, print what they say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system import System

# One system serves all journeys, so that they stay in one test process.
pytestmark = pytest.mark.xdist_group("journeys")

ROOT = Path(__file__).parents[2]
# Printed between the blocks, to tell their output apart.
_END = "the end of this block"
# What is another each time, by what it looks like.
_VARIABLE = {
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}": "<id>",
    r"\b(credits-)?[0-9a-f]{32}\b": "<reference>",
    r"\d{4}-\d\d-\d\dT[\d:.]+(\+00:00|Z)": "<time>",
    r'"\d{4}-\d\d-\d\d"': '"<day>"',
    r"127\.0\.0\.1:\d+": "<host>",
    r"/checkout/\d+": "/checkout/<number>",
}


def blocks(heading: str) -> list[tuple[str, str]]:
    """Return each block of commands of a journey, with the output it promises."""
    text = (ROOT / "README.md").read_text()
    journey = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(
        r"^```bash\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", journey, re.DOTALL | re.M
    )


def steady(output: str) -> str:
    """Return the output without what differs from one time to the next."""
    for pattern, name in _VARIABLE.items():
        output = re.sub(pattern, name, output)
    return output.replace("\ufeff", "").strip()


def play(commands: list[str], system: System) -> list[str]:
    """Run the commands in one shell; return what each block printed."""
    script = "".join(f"{block}\necho '{_END}'\n" for block in commands)
    script = script.replace("http://127.0.0.1:8000", system.site)
    script = script.replace(".venv/bin/python", sys.executable)
    played = subprocess.run(
        [shutil.which("bash") or "bash", "-u", "-c", script],
        cwd=ROOT,
        env={**os.environ, **system.environment},
        capture_output=True,
        text=True,
        timeout=240,
    )
    outputs = played.stdout.split(f"{_END}\n")
    assert len(outputs) == len(commands) + 1, played.stdout + played.stderr
    return outputs[:-1]


def assert_prints_what_it_says(heading: str, system: System) -> None:
    promised = blocks(heading)
    assert len(promised) > 7
    system.manage("load_demo")

    printed = play([commands for commands, _ in promised], system)

    for (commands, expected), output in zip(promised, printed, strict=True):
        assert steady(output) == steady(expected), commands


@pytest.mark.skipif(not shutil.which("curl"), reason="the journey is told in curl")
def test_the_first_journey_of_the_readme_prints_what_it_says(system: System):
    assert_prints_what_it_says("A first journey", system)
