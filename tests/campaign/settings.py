"""The settings of a campaign's processes: the site's, but for one clock.

The settling time is set in minutes, and a campaign has seconds.
"""

from __future__ import annotations

import os

from credits_project.settings import *  # noqa: F403 - all but the one below

_SECONDS = float(os.environ["CAMPAIGN_SETTLING_SECONDS"])
# A part of a minute, which the environment cannot say.
PAYOUT_SETTLING_MINUTES = _SECONDS / 60  # type: ignore[assignment]
