"""The settings as the type checker's Django plugin loads them.

The plugin imports the settings to learn the models; no value of the environment
matters to it, so those that have no default are given here.
"""

from __future__ import annotations

import os

os.environ.setdefault("SECRET_KEY", "typing-" * 8)
os.environ.setdefault("FIELD_ENCRYPTION_KEY", "typing-" * 6)
os.environ.setdefault("LEDGER_SEAL_KEY", "typing-" * 6)

from credits_project.settings import *  # noqa: F403
