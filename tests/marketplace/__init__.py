"""The whole marketplace against a plain model of it."""

from __future__ import annotations

import pytest

# Differences are told with both sides.
pytest.register_assert_rewrite("tests.marketplace.comparing")
