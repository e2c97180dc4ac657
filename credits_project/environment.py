"""Reads settings from the environment, each with a clear refusal of nonsense."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

_BOOLEANS = {
    "true": True, "1": True, "on": True, "yes": True,
    "false": False, "0": False, "off": False, "no": False,
}  # fmt: skip
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class Environment:
    """The process environment, completed by a file of `NAME=value` lines.

    What the process was started with wins over the file. Every method raises
    `ImproperlyConfigured` with a line that names the setting and what is allowed.
    """

    def __init__(self, file: Path) -> None:
        if file.exists():
            environ.Env.read_env(file)
        self._env = environ.Env()

    def given(self, name: str) -> bool:
        """Return whether the setting has a value that is not empty."""
        return self.text(name, default="") != ""

    def text(self, name: str, *, default: str) -> str:
        """Return the setting without surrounding blanks; empty counts as not given."""
        return str(self._env.str(name, default="")).strip() or default

    def throttle(self, name: str, *, default: str) -> str | None:
        """Return a rate like 60/min; none where the setting is given and empty."""
        word = str(self._env.str(name, default=default)).strip()
        if word and not re.fullmatch(r"[1-9][0-9]*/(s|sec|m|min|h|hour|d|day)", word):
            raise ImproperlyConfigured(
                f"{name} must be a rate like 60/min, or empty for none, not {word!r}."
            )
        return word or None

    def words(self, name: str) -> list[str]:
        """Return the setting's comma-separated words."""
        return [
            word.strip()
            for word in self.text(name, default="").split(",")
            if word.strip()
        ]

    def origins(self, name: str) -> list[str]:
        """Return the setting's comma-separated origins, like https://app.example.com.

        A page of plain http could be anybody's; so http is for loopback only.
        """
        words = self.words(name)
        for word in words:
            parts = urlsplit(word)
            secure = parts.scheme == "https" or (
                parts.scheme == "http" and parts.hostname in _LOOPBACK
            )
            if not secure or not parts.hostname or word != f"{parts[0]}://{parts[1]}":
                raise ImproperlyConfigured(
                    f"{name} must list origins like https://app.example.com (http only"
                    f" on loopback), not {word!r}."
                )
        return words

    def boolean(self, name: str, *, default: bool) -> bool:
        """Return the setting as true or false; any other word is refused."""
        word = (self.text(name, default="") or str(default)).lower()
        if word not in _BOOLEANS:
            raise ImproperlyConfigured(f"{name} must be true or false, not {word!r}.")
        return _BOOLEANS[word]

    def integer(self, name: str, *, default: int, minimum: int) -> int:
        """Return the setting as a whole number of at least `minimum`."""
        word = self.text(name, default="") or str(default)
        if not (word.isascii() and word.isdigit()) or int(word) < minimum:
            raise ImproperlyConfigured(
                f"{name} must be a whole number of at least {minimum}, not {word!r}."
            )
        return int(word)

    def choice(self, name: str, allowed: tuple[str, ...], *, default: str) -> str:
        """Return the setting, which must be one of `allowed`."""
        word = self.text(name, default="") or default
        if word not in allowed:
            raise ImproperlyConfigured(
                f"{name} must be one of {', '.join(allowed)}, not {word!r}."
            )
        return word

    def secret(self, name: str, *, minimum_length: int) -> str:
        """Return a secret that has to be given and to be long enough."""
        value = self.text(name, default="")
        if len(value) < minimum_length:
            raise ImproperlyConfigured(
                f"{name} must be set, to at least {minimum_length} random characters."
            )
        return value

    def amount(self, name: str, *, default: str) -> Decimal:
        """Return an amount of zero or more with at most two decimals."""
        word = self.text(name, default="") or default
        value = _decimal(word)
        if value is None or value < 0 or value != round(value, 2):
            raise ImproperlyConfigured(
                f"{name} must be an amount like 250 or 250.50, not {word!r}."
            )
        return value

    def rate(self, name: str, *, default: str) -> Decimal:
        """Return a fraction from 0 to 1, 0.10 for 10 %."""
        word = self.text(name, default="") or default
        value = _decimal(word)
        if value is None or not 0 <= value <= 1:
            raise ImproperlyConfigured(
                f"{name} must be a fraction from 0 to 1, like 0.10, not {word!r}."
            )
        return value

    def site_url(self, name: str, *, default: str, debug: bool) -> str:
        """Return the site's address without a slash at its end.

        Plain http is for loopback only: cookies and passwords would travel in the open.
        """
        return self._url(name, default=default, http_allowed=debug)

    def gateway_url(self, name: str, *, default: str, mode: str) -> str:
        """Return the gateway's address without a slash at its end.

        Plain http is for a simulator on loopback in test mode.
        """
        url = self._url(name, default=default, http_allowed=False)
        if url.startswith("http://") and mode != "test":
            raise ImproperlyConfigured(
                f"{name} must be https when PAYCHANGU_MODE is live."
            )
        return url

    def database(self, name: str, *, default: str) -> dict[str, Any]:
        """Return Django's description of a PostgreSQL database named by its URL."""
        url = self.text(name, default="") or default
        try:
            description: dict[str, Any] = self._env.db_url_config(url)
        except Exception as error:
            raise ImproperlyConfigured(
                f"{name} must look like postgres://user:password@host:5432/name."
            ) from error
        if description.get("ENGINE") != "django.db.backends.postgresql":
            raise ImproperlyConfigured(f"{name} must name a PostgreSQL database.")
        return description

    def email(self, name: str, *, default: str) -> dict[str, Any]:
        """Return Django's EMAIL_… settings for an address like smtp+tls://…"""
        url = self.text(name, default="") or default
        try:
            return dict(self._env.email_url_config(url))
        except Exception as error:
            raise ImproperlyConfigured(
                f"{name} must look like smtp+tls://user:password@host:587."
            ) from error

    def _url(self, name: str, *, default: str, http_allowed: bool) -> str:
        url = self.text(name, default="") or default
        url = url.rstrip("/")
        parts = urlsplit(url)
        loopback = (parts.hostname or "") in _LOOPBACK
        plain = parts.scheme == "http" and (http_allowed or loopback)
        if not parts.hostname or not (parts.scheme == "https" or plain):
            raise ImproperlyConfigured(
                f"{name} must be an https address (http only on loopback), not {url!r}."
            )
        return url


def _decimal(word: str) -> Decimal | None:
    try:
        value = Decimal(word)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None
