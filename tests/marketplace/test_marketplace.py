"""The marketplace against a model of it in plain Python: no difference.

MARKETPLACE_STEPS says how many steps are taken in all, MARKETPLACE_SEED tells the same
stories again. A story that fails is made shorter and printed, with its seed.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.marketplace import (
    rules_of_ledger,
    rules_of_money_in,
    rules_of_money_out,
    rules_of_sales,
)
from tests.marketplace.gateway import running
from tests.marketplace.stage import Stage, make_house, tell_all
from tests.marketplace.story import RULES

STEPS: Final = int(os.environ.get("MARKETPLACE_STEPS", "20000"))
# The same stories each time, unless others are asked for.
SEED: Final = os.environ.get("MARKETPLACE_SEED", "1")
STEPS_OF_A_STORY: Final = 400
# So that two processes share the work.
PARTS: Final = 4
# In so many every rule has been accepted and refused.
STORIES_FOR_ALL_RULES: Final = 10
# Imported for the rules that they add.
MODULES: Final = (
    rules_of_ledger,
    rules_of_money_in,
    rules_of_money_out,
    rules_of_sales,
)
# Stories that showed a difference once. A seed tells the same for as long as the rules
# are the same; what a story found has a test of its own besides.
KNOWN: Final = ("1:1:0",)


@pytest.fixture
def stage(committed: str, settings: Any) -> Iterator[Stage]:
    with running() as gateway:
        settings.PAYCHANGU_BASE_URL = gateway.base_url
        settings.PAYCHANGU_TIMEOUT_SECONDS = 20
        settings.PAYOUT_COOLING_OFF_HOURS = 0
        # What staff have to be told of a story would fill the log.
        logging.disable(logging.WARNING)
        try:
            yield Stage(committed, make_house(), gateway)
        finally:
            logging.disable(logging.NOTSET)


@pytest.mark.parametrize("part", range(PARTS))
def test_the_marketplace_does_what_a_plain_model_of_it_does(
    stage: Stage,
    part: int,
    record_testsuite_property: Any,
    capsys: pytest.CaptureFixture[str],
):
    stories = math.ceil(STEPS / PARTS / STEPS_OF_A_STORY)
    length = math.ceil(STEPS / PARTS / stories)
    began = time.monotonic()

    counts = tell_all(
        stage,
        [f"{SEED}:{part}:{number}" for number in range(stories)],
        length=length,
    )

    assert counts.total() == stories * length
    seconds = time.monotonic() - began
    told = f"{counts.total()} steps, {seconds:.0f} s, MARKETPLACE_SEED={SEED}"
    record_testsuite_property(f"marketplace, part {part}", told)
    with capsys.disabled():
        if "MARKETPLACE_STEPS" in os.environ:
            sys.stdout.write(f"\nno difference in {told}\n{_table(counts)}")
    if stories >= STORIES_FOR_ALL_RULES:
        one_sided = _one_sided(counts)
        assert not one_sided, _table(counts)


@pytest.mark.parametrize("seed", KNOWN)
def test_stories_that_are_known_come_out_the_same_where_each_step_commits(
    stage: Stage, seed: str
):
    stage.commits = True

    assert tell_all(stage, [seed], length=STEPS_OF_A_STORY).total() == STEPS_OF_A_STORY


def test_there_are_rules_for_everything_that_moves_credits():
    assert len(RULES) >= 20


def _outcomes(counts: Counter[Any], name: str) -> dict[str, int]:
    """Return how often a rule was refused by each slug; accepted is the blank one."""
    mine = {slug: count for (rule, slug), count in counts.items() if rule == name}
    return dict(sorted(mine.items()))


def _one_sided(counts: Counter[Any]) -> list[str]:
    """Return the rules that were never accepted, or never refused though they can."""
    found = []
    for name, rule in RULES.items():
        outcomes = _outcomes(counts, name)
        if "" not in outcomes:
            found.append(f"{name} is never accepted")
        if rule.is_refusable and len(outcomes) < 2:
            found.append(f"{name} is never refused")
    return found


def _table(counts: Counter[Any]) -> str:
    lines = []
    for name in RULES:
        outcomes = _outcomes(counts, name)
        accepted = outcomes.pop("", 0)
        refused = ", ".join(f"{count} {slug}" for slug, count in outcomes.items())
        lines.append(f"  {name:22} {accepted:6} done  {refused}")
    return "\n".join(lines) + "\n"
