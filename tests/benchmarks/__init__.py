"""The benchmarks of `make bench`: each figure beside a limit of the same run."""

from __future__ import annotations
