"""Settings for the demo of `make run`: made up once, kept under `.data/`.

Secrets are random, of this checkout only and readable by its owner only. What the
environment or `.env` says wins. Nothing here is read where DATABASE_URL points the
program at a server of its own, unless the demo itself was started on that server: a
production machine that lacks a secret must stop, not take one of a demo.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
FILE = BASE_DIR / ".data" / "demo.env"

# Everything that the demo sets where the environment does not.
NAMES = (
    "SECRET_KEY",
    "ALLOWED_HOSTS",
    "SITE_URL",
    "FIELD_ENCRYPTION_KEY",
    "LEDGER_SEAL_KEY",
    "PAYCHANGU_BASE_URL",
    "PAYCHANGU_MODE",
    "PAYCHANGU_SECRET_KEY",
    "PAYCHANGU_WEBHOOK_SECRET",
    # The two things that a demo has and production has not.
    "STAFF_MFA_REQUIRED",
    "PAYOUT_COOLING_OFF_HOURS",
)

_DATABASE_DIGEST = "DEMO_DATABASE_DIGEST"
_HEADER = "# The demo's own settings, made by `make run`. Of no use anywhere else.\n"


def read_env_file() -> None:
    """Complete the environment by `.env`, as the settings do."""
    if (file := BASE_DIR / ".env").exists():
        environ.Env.read_env(file)


def has_own_database() -> bool:
    """Return whether DATABASE_URL names a server, so that none is to be embedded."""
    return bool(os.environ.get("DATABASE_URL", "").strip())


def apply(file: Path = FILE) -> None:
    """Complete the environment by the demo's settings, where they are meant for it.

    Raises:
        ImproperlyConfigured: they are another account's, and needed.
    """
    read_env_file()
    try:
        values = _read(file)
    except PermissionError:
        if has_own_database():
            return
        raise ImproperlyConfigured(
            f"{file} belongs to another account: run as that account or as root."
        ) from None
    if has_own_database() and values.get(_DATABASE_DIGEST) != _database_digest():
        return
    if not values:
        values = _write(file, {})
    _complete(values)


def prepare(addresses: Mapping[str, str], file: Path = FILE) -> None:
    """Write the demo's settings with the addresses of this start, and apply them.

    Args:
        addresses: SITE_URL and, with a simulator, PAYCHANGU_BASE_URL.
    """
    _complete(_write(file, addresses))


def _complete(values: Mapping[str, str]) -> None:
    # A gateway that the environment names comes with keys of its own: the simulator's
    # must not be sent to it.
    own_gateway = bool(os.environ.get("PAYCHANGU_BASE_URL", "").strip())
    for name, value in values.items():
        if own_gateway and name.startswith("PAYCHANGU_"):
            continue
        if name in NAMES and not os.environ.get(name, "").strip():
            os.environ[name] = value


def _write(file: Path, addresses: Mapping[str, str]) -> dict[str, str]:
    """Write the file, keeping every secret that it has, and return what it says."""
    values = {**_made_up(), **_read(file), **addresses}
    values[_DATABASE_DIGEST] = _database_digest()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Beside its place first: a reader finds the old file or the new one, never half.
    unfinished = file.with_name(f"{file.name}.{os.getpid()}")
    unfinished.touch(mode=0o600)
    unfinished.write_text(
        _HEADER + "".join(f"{name}={value}\n" for name, value in values.items())
    )
    unfinished.replace(file)
    return values


def _made_up() -> dict[str, str]:
    return {
        "SECRET_KEY": secrets.token_urlsafe(50),
        "ALLOWED_HOSTS": "127.0.0.1,localhost,[::1]",
        "FIELD_ENCRYPTION_KEY": base64.urlsafe_b64encode(
            secrets.token_bytes(32)
        ).decode(),
        "LEDGER_SEAL_KEY": secrets.token_urlsafe(32),
        "PAYCHANGU_MODE": "test",
        "PAYCHANGU_SECRET_KEY": f"sec-test-local-{secrets.token_urlsafe(24)}",
        "PAYCHANGU_WEBHOOK_SECRET": f"local-{secrets.token_urlsafe(24)}",
        "STAFF_MFA_REQUIRED": "false",
        "PAYOUT_COOLING_OFF_HOURS": "0",
    }


def _read(file: Path) -> dict[str, str]:
    try:
        lines = file.read_text().splitlines()
    except FileNotFoundError:
        return {}
    pairs = (line.partition("=") for line in lines if not line.startswith("#"))
    return {name: value for name, equals, value in pairs if equals}


def _database_digest() -> str:
    # A digest, as the address may hold a password.
    address = os.environ.get("DATABASE_URL", "").strip()
    return hashlib.sha256(address.encode()).hexdigest()
