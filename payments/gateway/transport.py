"""One HTTP request to the gateway, bounded in time and size, never repeated.

Nothing here raises for what a network or a gateway may do: the exchange says what was
seen, and the callers decide what it means.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter

from payments.gateway import dialect
from payments.gateway.masking import masked
from payments.gateway.results import Exchange, Failure

BODY_LENGTH_MAX = 1024 * 1024
_RETRY_AFTER_MAX_SECONDS = 24 * 60 * 60


@dataclass(frozen=True, kw_only=True, slots=True)
class GatewayConfig:
    """Where the gateway is and how we make ourselves known to it."""

    base_url: str
    secret_key: str = field(repr=False)
    # `test` or `live`: what answers about our payments must say.
    mode: str = "test"
    connect_timeout_seconds: float = 10.0
    # For one wait on the network; the whole exchange is over after the sum of both.
    read_timeout_seconds: float = 30.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        assert parts.scheme in {"http", "https"}, "base_url must be http(s)"
        assert parts.hostname, "base_url must name a host"


class _BearerAuth(requests.auth.AuthBase):
    """Sends our key, and keeps requests from taking another one out of ~/.netrc."""

    def __init__(self, secret_key: str) -> None:
        self._secret_key = secret_key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._secret_key}"
        return request


class _Deadline(HTTPAdapter):
    """Cuts the connection when the whole exchange has taken too long.

    The time-outs of requests apply to single waits: a peer that sends one byte every
    few seconds would hold the caller for ever.
    """

    def __init__(self, *, seconds: float) -> None:
        super().__init__(max_retries=0)
        self._sockets: list[socket.socket] = []
        self.has_passed = False
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **options)
        # The class is replaced on this one pool, which lives as long as this adapter.
        pool.ConnectionCls = self._watched(pool.ConnectionCls)
        return pool

    def _watched(self, make: Callable[..., Any]) -> Callable[..., Any]:
        def connection(*args: Any, **options: Any) -> Any:
            made = make(*args, **options)
            connect = made.connect

            def connect_and_keep() -> None:
                connect()
                if self.has_passed:
                    raise urllib3.exceptions.ConnectTimeoutError(made, "too late")
                self._sockets.append(made.sock)

            made.connect = connect_and_keep
            return made

        return connection

    def _cut(self) -> None:
        self.has_passed = True
        for connected in self._sockets:
            # The plain method, as that of a TLS socket would pull its state away
            # from under the thread that is reading.
            with suppress(OSError):
                socket.socket.shutdown(connected, socket.SHUT_RDWR)


@dataclass(slots=True)
class _Seen:
    """What has arrived so far."""

    http_status: int | None = None
    retry_after: int | None = None
    content_type: str = ""
    body: bytes = b""
    failure: Failure | None = None


def exchange(
    config: GatewayConfig,
    method: str,
    path: str,
    *,
    body: Mapping[str, Any] | None = None,
    query: Mapping[str, str] | None = None,
) -> Exchange:
    """Send one request and return what came of it. Redirects are not followed.

    `path` starts with a slash; whatever in it came from outside must be quoted.
    """
    started = time.monotonic()
    seen = _attempt(config, method, path, body=body, query=query)
    document = _document(seen)
    return Exchange(
        method=method,
        path=path,
        http_status=seen.http_status,
        failure=seen.failure,
        document=document,
        retry_after=seen.retry_after,
        summary=_summary(
            method,
            path,
            sent=body,
            seen=seen,
            document=document,
            seconds=time.monotonic() - started,
        ),
    )


def _attempt(
    config: GatewayConfig,
    method: str,
    path: str,
    *,
    body: Mapping[str, Any] | None,
    query: Mapping[str, str] | None,
) -> _Seen:
    seen = _Seen()
    seconds = config.connect_timeout_seconds + config.read_timeout_seconds
    # A session and with it a connection for each exchange: one that was kept open may
    # have been closed by the other side, and would make the outcome of a payout
    # unknown where a new one would simply have worked.
    with _Deadline(seconds=seconds) as deadline, _session(config, deadline) as session:
        try:
            _receive(config, session, method, path, body=body, query=query, seen=seen)
        except (
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            http.client.HTTPException,
            OSError,
        ) as error:
            seen.failure = _failure(error, deadline=deadline, seen=seen)
        if deadline.has_passed and seen.failure is None:
            # Headers that are cut off pass for complete ones in Python's library.
            seen.failure = Failure.TIMED_OUT
    return seen


@contextmanager
def _session(config: GatewayConfig, adapter: HTTPAdapter) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        session.auth = _BearerAuth(config.secret_key)
        # A proxy set in the environment cannot reach our own loopback.
        session.trust_env = not _is_loopback(config.base_url)
        session.headers.update(
            {
                "Accept": "application/json",
                # Nothing to unpack: the bound on the size is then one on the memory.
                "Accept-Encoding": "identity",
                "User-Agent": "course-credits",
            }
        )
        yield session


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _receive(
    config: GatewayConfig,
    session: requests.Session,
    method: str,
    path: str,
    *,
    body: Mapping[str, Any] | None,
    query: Mapping[str, str] | None,
    seen: _Seen,
) -> None:
    with session.request(
        method,
        config.base_url.rstrip("/") + path,
        params=query,
        json=body,
        timeout=(config.connect_timeout_seconds, config.read_timeout_seconds),
        allow_redirects=False,
        stream=True,
    ) as response:
        seen.http_status = response.status_code
        seen.retry_after = _retry_after(response.headers.get("Retry-After"))
        seen.content_type = response.headers.get("Content-Type", "")[:100]
        received = bytearray()
        for part in response.iter_content(16 * 1024):
            received += part
            if len(received) > BODY_LENGTH_MAX:
                seen.failure = Failure.TOO_LARGE
                return
        seen.body = bytes(received)


def _retry_after(header: str | None) -> int | None:
    """Return seconds; the other form of the header, a date, is not worth its clock."""
    if header is None or not header.isascii() or not header.isdigit():
        return None
    return min(int(header[:9]), _RETRY_AFTER_MAX_SECONDS)


def _failure(error: Exception, *, deadline: _Deadline, seen: _Seen) -> Failure:
    if seen.http_status is None and _never_connected(error):
        return Failure.NOT_CONNECTED
    if deadline.has_passed or isinstance(
        error, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError
    ):
        return Failure.TIMED_OUT
    # requests reports a time-out while the body is read as a broken connection.
    if any(isinstance(cause, TimeoutError) for cause in _chain(error)):
        return Failure.TIMED_OUT
    return Failure.BROKEN


def _never_connected(error: Exception) -> bool:
    """Whether it is certain that no byte of the request has left."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    return any(
        isinstance(
            cause,
            # The last: a certificate that is not the gateway's ends the handshake,
            # before there is anything to send a request on.
            urllib3.exceptions.NewConnectionError
            | urllib3.exceptions.ConnectTimeoutError
            | ssl.SSLCertVerificationError,
        )
        for cause in _chain(error)
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Return `error` and what caused it, through the wrappings of both libraries."""
    waiting: list[Any] = [error]
    known: set[int] = set()
    while waiting:
        cause = waiting.pop()
        if not isinstance(cause, BaseException) or id(cause) in known:
            continue
        known.add(id(cause))
        yield cause
        waiting += [cause.__cause__, cause.__context__, getattr(cause, "reason", None)]
        waiting += cause.args


def _document(seen: _Seen) -> dict[str, Any] | None:
    """Return the answer's JSON object, noting in `seen` where there is none."""
    if seen.failure is not None:
        return None
    document = dialect.parse_answer(seen.body)
    if document is None:
        seen.failure = Failure.NOT_JSON
    return document


def _summary(
    method: str,
    path: str,
    *,
    sent: Mapping[str, Any] | None,
    seen: _Seen,
    document: Mapping[str, Any] | None,
    seconds: float,
) -> dict[str, Any]:
    """Return what may be kept of the exchange: no key, no full number of an account."""
    return {
        "method": method,
        "path": path[:300],
        "sent": masked(sent),
        "http_status": seen.http_status,
        "failure": None if seen.failure is None else str(seen.failure),
        # What is not JSON may hold anything: only its size and type are told.
        "content_type": seen.content_type,
        "length": len(seen.body),
        "received": masked(document),
        "milliseconds": round(seconds * 1000),
    }
