"""The README's journey of a course, which takes a refund window and a commission."""

from __future__ import annotations

import shutil

import pytest

from tests.journeys.test_readme import assert_prints_what_it_says
from tests.system import System

# One system serves all journeys of a module, so that they stay in one test process.
pytestmark = pytest.mark.xdist_group("journeys")

# As the README has it started.
ENVIRONMENT = {"REFUND_WINDOW_DAYS": "14", "COMMISSION_RATE": "0.10"}


@pytest.mark.skipif(not shutil.which("curl"), reason="the journey is told in curl")
def test_the_journey_of_a_course_prints_what_the_readme_says(system: System):
    assert_prints_what_it_says("A course from draft to refund", system)
